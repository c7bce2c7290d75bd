//! What augmentations draw, and how their parameters are checked.

use dml_core::{Error, Result};
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

/// A seed for each number, from a seed: splitmix64 over the two.
pub(crate) fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed
        .wrapping_add(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(number.wrapping_mul(0xD1B5_4A32_D192_ED03));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Whether `value` is a probability in `[0, 1]`.
pub(super) fn probability(name: &'static str, value: f64) -> Result<f64> {
    refuse_unless(
        (0.0..=1.0).contains(&value),
        name,
        value,
        "a probability in [0, 1]",
    )?;
    Ok(value)
}

/// Whether `[low, high]` is a range of finite numbers `> 0`.
pub(super) fn positive_range(name: &'static str, [low, high]: [f64; 2]) -> Result<[f64; 2]> {
    let expected = "a range of two finite numbers > 0, the smaller one first";
    refuse_unless(low.is_finite() && low > 0.0, name, low, expected)?;
    refuse_unless(high.is_finite() && high >= low, name, high, expected)?;
    Ok([low, high])
}

/// The same within `(0, 1]`: shares of an area.
pub(super) fn share_range(name: &'static str, range: [f64; 2]) -> Result<[f64; 2]> {
    let [low, high] = positive_range(name, range)?;
    refuse_unless(high <= 1.0, name, high, "a range of shares in (0, 1]")?;
    Ok([low, high])
}

/// Whether `[height, width]` is a size of pictures.
pub(super) fn size(name: &'static str, [height, width]: [usize; 2]) -> Result<[usize; 2]> {
    for side in [height, width] {
        let expected = "sides of 1 to 16384 pixels";
        refuse_unless((1..=1 << 14).contains(&side), name, side as f64, expected)?;
    }
    Ok([height, width])
}

/// The one wording of a parameter outside of its range.
pub(super) fn refuse_unless(
    ok: bool,
    name: &'static str,
    value: f64,
    expected: &'static str,
) -> Result<()> {
    if ok {
        return Ok(());
    }
    Err(Error::InvalidParameter {
        name,
        value,
        expected,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_of_neighbours_differ() {
        let mut seeds: Vec<u64> = (0..1_000)
            .flat_map(|seed| (0..20).map(move |number| mix(seed, number)))
            .collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), 20_000);
    }

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
