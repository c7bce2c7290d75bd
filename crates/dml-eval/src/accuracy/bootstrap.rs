//! How sure a mean is: the bootstrap.
//!
//! ```text
//! a resample = as many values as there are, drawn from them with replacement
//! interval   = the (1 − level)/2 and (1 + level)/2 quantiles of the means of many resamples
//! ```
//!
//! Efron, "Bootstrap methods: another look at the jackknife" (1979), percentile method.

use dml_core::{Result, check};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

dml_core::config! {
    /// Configuration of [`confidence_interval`].
    pub struct BootstrapConfig {
        /// Number of resamples, 1 to 1,000,000. Default 1,000.
        pub resamples: usize = 1_000,
        /// Confidence level, between 0 and 1. Default 0.95.
        pub level: f64 = 0.95,
        /// Seed of the resamples. Default 0.
        pub seed: u64 = 0,
    }
}

/// Confidence interval of a mean.
///
/// ```
/// use dml_eval::confidence_interval;
///
/// let interval = confidence_interval(&[1.0, 0.0, 1.0, 1.0], &Default::default())?;
/// assert!(interval.low <= interval.mean && interval.mean <= interval.high);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConfidenceInterval {
    /// The lower end.
    pub low: f64,
    /// The mean of the values themselves.
    pub mean: f64,
    /// The upper end.
    pub high: f64,
}

/// The interval of the mean of `values`; what is not a number, such as the value of a query without a match, is left out.
/// The same seed gives the same interval, whatever the number of threads.
///
/// ```
/// use dml_eval::{BootstrapConfig, confidence_interval};
///
/// // 90 of 100 queries find a match first.
/// let values: Vec<f64> = (0..100).map(|i| f64::from(i < 90)).collect();
/// let interval = confidence_interval(&values, &BootstrapConfig::default())?;
/// assert_eq!(interval.mean, 0.9);
/// // About 0.9 ± 1.96 · √(0.9 · 0.1 / 100).
/// assert!((interval.low - 0.84).abs() < 0.015 && (interval.high - 0.96).abs() < 0.015);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for an argument outside of its range,
/// [`Error::Unsupported`](dml_core::Error::Unsupported) if there is no value.
pub fn confidence_interval(values: &[f64], config: &BootstrapConfig) -> Result<ConfidenceInterval> {
    check::count("resamples", config.resamples, 1_000_000)?;
    let level = config.level;
    let is_inside = level > 0.0 && level < 1.0;
    check::parameter(is_inside, "level", level, "a number between 0 and 1")?;
    let values = values.iter().copied();
    let values: Vec<f64> = values.filter(|value| !value.is_nan()).collect();
    let reason = "there is no value to draw from";
    check::supported(!values.is_empty(), "confidence_interval", reason)?;
    let count = values.len() as f64;
    let mut means: Vec<f64> = (0..config.resamples as u64)
        .into_par_iter()
        .map(|resample| {
            // A stream of its own for each resample.
            let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
            rng.set_stream(resample);
            let drawn = (0..values.len()).map(|_| values[rng.random_range(0..values.len())]);
            drawn.sum::<f64>() / count
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    Ok(ConfidenceInterval {
        low: quantile(&means, (1.0 - level) / 2.0),
        mean: values.iter().sum::<f64>() / count,
        high: quantile(&means, (1.0 + level) / 2.0),
    })
}

/// The quantile of sorted values, between neighbours on a straight line.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = (place.floor() as usize).min(sorted.len() - 1);
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - place.floor()) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;

    #[test]
    fn quantiles_by_hand() {
        assert_eq!(quantile(&[1., 2., 4.], 0.0), 1.0);
        assert_eq!(quantile(&[1., 2., 4.], 0.75), 3.0);
        assert_eq!(quantile(&[1., 2., 4.], 1.0), 4.0);
        assert_eq!(quantile(&[7.], 0.3), 7.0);
    }

    #[test]
    fn equal_values_leave_no_doubt_and_lone_queries_don_t_count() -> Result<()> {
        let values = [0.25, f64::NAN, 0.25, 0.25];
        let interval = confidence_interval(&values, &BootstrapConfig::default())?;
        assert_eq!(
            (interval.low, interval.mean, interval.high),
            (0.25, 0.25, 0.25)
        );
        Ok(())
    }

    #[test]
    fn more_confidence_is_wider_and_the_seed_decides() -> Result<()> {
        let values: Vec<f64> = (0..50).map(|i| f64::from(i * i % 17)).collect();
        let at = |level, seed| {
            let config = BootstrapConfig {
                level,
                seed,
                ..Default::default()
            };
            confidence_interval(&values, &config)
        };
        let (narrow, wide) = (at(0.5, 1)?, at(0.99, 1)?);
        assert!(wide.low < narrow.low && narrow.low < narrow.mean);
        assert!(narrow.mean < narrow.high && narrow.high < wide.high);
        assert_eq!(wide, at(0.99, 1)?);
        assert_ne!(wide, at(0.99, 2)?);
        Ok(())
    }

    #[test]
    fn an_interval_of_a_level_holds_the_true_mean_about_so_often() -> Result<()> {
        // Uniform numbers of mean 0.5.
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut held = 0;
        for seed in 0..200 {
            let values: Vec<f64> = (0..60).map(|_| rng.random()).collect();
            let config = BootstrapConfig {
                resamples: 200,
                level: 0.9,
                seed,
            };
            let interval = confidence_interval(&values, &config)?;
            held += usize::from(interval.low <= 0.5 && 0.5 <= interval.high);
        }
        assert!((165..=192).contains(&held), "{held} of 200");
        Ok(())
    }

    #[test]
    fn bad_arguments_and_no_values_are_refused() {
        for level in [0.0, 1.0, f64::NAN] {
            let config = BootstrapConfig {
                level,
                ..Default::default()
            };
            assert!(matches!(
                confidence_interval(&[1.0], &config),
                Err(Error::InvalidParameter { name: "level", .. })
            ));
        }
        let config = BootstrapConfig {
            resamples: 0,
            ..Default::default()
        };
        assert!(confidence_interval(&[1.0], &config).is_err());
        assert!(matches!(
            confidence_interval(&[f64::NAN], &BootstrapConfig::default()),
            Err(Error::Unsupported { .. })
        ));
    }
}
