//! What augmentations draw, and how their parameters are checked.

use dml_core::{Result, check};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The generator of a seed.
pub(super) fn generator(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// A number between `low` and `high`, which may be equal.
pub(super) fn between(low: f64, high: f64, rng: &mut impl Rng) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// A number whose logarithm is uniform between those of `low` and `high`: halves are as likely as doubles.
pub(super) fn log_between(low: f64, high: f64, rng: &mut impl Rng) -> f64 {
    between(low.ln(), high.ln(), rng).exp()
}

/// Whether `value` is a probability in `[0, 1]`.
pub(super) fn probability(name: &'static str, value: f64) -> Result<f64> {
    let expected = "a probability in [0, 1]";
    check::parameter((0.0..=1.0).contains(&value), name, value, expected)
}

/// Whether `[low, high]` is a range of finite numbers `> 0`.
pub(super) fn positive_range(name: &'static str, [low, high]: [f64; 2]) -> Result<[f64; 2]> {
    let expected = "a range of two numbers in [1e-30, 1e30], the smaller one first";
    check::parameter(low >= check::SMALLEST, name, low, expected)?;
    check::parameter((low..=check::LARGEST).contains(&high), name, high, expected)?;
    Ok([low, high])
}

/// The same within `(0, 1]`: shares of an area.
pub(super) fn share_range(name: &'static str, range: [f64; 2]) -> Result<[f64; 2]> {
    let [low, high] = positive_range(name, range)?;
    check::parameter(high <= 1.0, name, high, "a range of shares in (0, 1]")?;
    Ok([low, high])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_within_their_bounds() {
        let rng = &mut generator(0);
        let (mut halves, n) = (0, 2_000);
        for _ in 0..n {
            assert!((-1.0..3.0).contains(&between(-1.0, 3.0, rng)));
            let factor = log_between(0.5, 2.0, rng);
            assert!((0.499..2.001).contains(&factor));
            halves += usize::from(factor < 1.0);
        }
        assert!((900..1_100).contains(&halves), "{halves}");
        assert_eq!(between(2.0, 2.0, rng), 2.0);
    }
}
