//! Batches of a random permutation of all rows.

use dml_core::{Result, Sampler, check};
use rand::seq::SliceRandom;

use crate::epoch_rng::epoch_rng;

dml_core::config! {
    /// Configuration of [`ShuffleSampler`].
    pub struct ShuffleSamplerConfig {
        /// Rows in a batch, 1 to 4,294,967,295. Default 32.
        pub batch_size: usize = 32,
        /// Whether a last batch of fewer rows is left out. Default `false`.
        pub drop_last: bool = false,
        /// Seed of the permutations. Default 0.
        pub seed: u64 = 0,
    }
}

/// Every row once per epoch, in random order, whatever its label.
///
/// ```
/// use dml_core::Sampler;
/// use dml_samplers::{ShuffleSampler, ShuffleSamplerConfig};
///
/// let config = ShuffleSamplerConfig { batch_size: 4, ..Default::default() };
/// let sampler = ShuffleSampler::new(config, 10)?;
/// let sizes: Vec<usize> = sampler.epoch(0).map(|batch| batch.len()).collect();
/// assert_eq!(sizes, [4, 4, 2]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ShuffleSampler {
    config: ShuffleSamplerConfig,
    rows: usize,
}

impl ShuffleSampler {
    /// A sampler of `rows` rows.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `batch_size` is 0, or if there would be no batch: no rows, or with `drop_last`
    /// fewer than a batch.
    pub fn new(config: ShuffleSamplerConfig, rows: usize) -> Result<Self> {
        check::at_least_one("batch_size", config.batch_size)?;
        let least = if config.drop_last {
            config.batch_size
        } else {
            1
        };
        check::whole(rows >= least, "rows", rows, "enough rows for one batch")?;
        Ok(Self { config, rows })
    }

    /// How many rows an epoch yields.
    #[must_use]
    pub fn length(&self) -> usize {
        if self.config.drop_last {
            self.rows - self.rows % self.config.batch_size
        } else {
            self.rows
        }
    }
}

impl Sampler for ShuffleSampler {
    fn epoch(&self, epoch: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
        let mut order: Vec<usize> = (0..self.rows).collect();
        order.shuffle(&mut epoch_rng(self.config.seed, epoch));
        let size = self.config.batch_size;
        Box::new((0..self.batches()).map(move |b| {
            let start = b * size;
            order[start..(start + size).min(order.len())].to_vec()
        }))
    }

    fn batches(&self) -> usize {
        self.length().div_ceil(self.config.batch_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(batch_size: usize, drop_last: bool, rows: usize) -> Result<ShuffleSampler> {
        let config = ShuffleSamplerConfig {
            batch_size,
            drop_last,
            seed: 5,
        };
        ShuffleSampler::new(config, rows)
    }

    #[test]
    fn every_row_comes_once_and_epochs_differ() -> Result<()> {
        let sampler = sampler(7, false, 100)?;
        let epoch: Vec<Vec<usize>> = sampler.epoch(3).collect();
        assert_eq!((epoch.len(), sampler.batches()), (15, 15));
        assert_eq!(epoch, sampler.epoch(3).collect::<Vec<_>>());
        assert_ne!(epoch, sampler.epoch(4).collect::<Vec<_>>());
        let mut rows = epoch.concat();
        rows.sort_unstable();
        assert_eq!(rows, (0..100).collect::<Vec<_>>());
        Ok(())
    }

    #[test]
    fn a_short_batch_is_kept_or_dropped() -> Result<()> {
        for (drop_last, batches, length) in [(false, 3, 10), (true, 2, 8)] {
            let sampler = sampler(4, drop_last, 10)?;
            assert_eq!((sampler.batches(), sampler.length()), (batches, length));
            assert_eq!(sampler.epoch(0).map(|b| b.len()).sum::<usize>(), length);
        }
        Ok(())
    }

    #[test]
    fn no_batch_is_an_error() {
        assert!(sampler(0, false, 10).is_err());
        assert!(sampler(4, false, 0).is_err());
        let error = sampler(4, true, 3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "rows: expected enough rows for one batch, got 3"
        );
    }

    /// Each row is equally likely at each place: chi-square over 10 places, 5,000 epochs.
    #[test]
    fn places_are_uniform() -> Result<()> {
        let sampler = sampler(10, false, 10)?;
        let mut counts = [0u32; 10];
        for epoch in 0..5000 {
            let batch = sampler.epoch(epoch).next().unwrap();
            counts[batch.iter().position(|&row| row == 3).unwrap()] += 1;
        }
        let chi_square: f64 = counts
            .iter()
            .map(|&n| (f64::from(n) - 500.0).powi(2) / 500.0)
            .sum();
        assert!(chi_square < 27.9, "{chi_square}"); // 9 degrees of freedom, p = 0.001
        Ok(())
    }
}
