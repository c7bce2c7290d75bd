//! A binomial test: whether an event occurred about as often as its probability says.

use std::fmt::Display;

use anyhow::ensure;

/// Whether `got` of `draws` lies within five standard deviations of the expected share.
pub(crate) fn is_plausible(got: u64, draws: u64, share: f64) -> bool {
    let (got, draws) = (got as f64, draws as f64);
    (got - draws * share).abs() <= 5.0 * (draws * share * (1.0 - share)).sqrt() + 1e-9
}

/// Refuses a number of draws of something that is not plausible for its share.
pub(crate) fn ensure_plausible(
    what: impl Display,
    got: u64,
    draws: u64,
    share: f64,
) -> anyhow::Result<()> {
    ensure!(
        is_plausible(got, draws, share),
        "{what} was drawn {got} times of {draws}, share {share}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_standard_deviations_are_ten_of_a_fair_coin_tossed_16_times() {
        // The standard deviation of 16 tosses is 2: all of 0 to 16 lie within 10 of 8. Of 400 tosses it is 10.
        assert!(is_plausible(0, 16, 0.5));
        assert!(is_plausible(250, 400, 0.5) && !is_plausible(251, 400, 0.5));
        assert!(is_plausible(0, 100, 0.0) && !is_plausible(1, 100, 0.0));
    }
}
