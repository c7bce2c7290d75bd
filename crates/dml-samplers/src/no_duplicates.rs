//! Batches in which no key comes twice: for losses that take every other row of the batch for a negative.
//!
//! ```text
//! batches = max(⌈rows / batch_size⌉, rows of the most frequent key)
//! ```
//!
//! With pairs of a query and a document, say, and the documents of the other queries as negatives (Henderson et al.,
//! "Efficient Natural Language Response Suggestion for Smart Reply", 2017, arXiv:1705.00652, §4), a document that comes
//! twice in a batch would be a positive that counts as a negative. The key is what must not come twice: the document,
//! the product, the class.

use dml_core::{IntoLabels, Result, Sampler, check};

use crate::classes::Classes;
use crate::distribute::distribute;
use crate::epoch_rng::epoch_rng;

dml_core::config! {
    /// Configuration of [`NoDuplicatesSampler`].
    pub struct NoDuplicatesSamplerConfig {
        /// Rows in a batch at most, 1 to 4,294,967,295. Default 32.
        pub batch_size: usize = 32,
        /// Seed of all draws. Default 0.
        pub seed: u64 = 0,
    }
}

/// Every row once per epoch, and no key twice in a batch ([number of batches](self)).
///
/// The sizes of the batches differ by one at most. They are smaller than `batch_size` where a key is so frequent that
/// its rows would not find enough batches.
///
/// ```
/// use dml_core::Sampler;
/// use dml_samplers::{NoDuplicatesSampler, NoDuplicatesSamplerConfig};
///
/// let document = [7i64, 7, 7, 1, 2, 3, 4, 5];
/// let config = NoDuplicatesSamplerConfig { batch_size: 4, ..Default::default() };
/// let sampler = NoDuplicatesSampler::new(config, document)?;
/// assert_eq!(sampler.batches(), 3); // document 7 needs three batches
/// for batch in sampler.epoch(0) {
///     assert!(batch.iter().filter(|&&row| document[row] == 7).count() <= 1);
/// }
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NoDuplicatesSampler {
    classes: Classes,
    rows: usize,
    batches: usize,
    seed: u64,
}

impl NoDuplicatesSampler {
    /// A sampler of rows with a key each.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `batch_size` is 0,
    /// [`Error::Shape`](dml_core::Error::Shape) if there are no rows.
    pub fn new(config: NoDuplicatesSamplerConfig, keys: impl IntoLabels) -> Result<Self> {
        let size = check::at_least_one("batch_size", config.batch_size)?;
        let keys = keys.into_labels()?;
        let classes = Classes::new(&keys)?;
        let most = classes.iter().map(<[usize]>::len).max().unwrap_or(0);
        Ok(Self {
            classes,
            rows: keys.len(),
            batches: keys.len().div_ceil(size).max(most),
            seed: config.seed,
        })
    }

    /// How many rows an epoch yields: all of them.
    #[must_use]
    pub fn length(&self) -> usize {
        self.rows
    }
}

impl Sampler for NoDuplicatesSampler {
    fn epoch(&self, epoch: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
        let mut rng = epoch_rng(self.seed, epoch);
        let counts: Vec<usize> = self.classes.iter().map(<[usize]>::len).collect();
        let distributed = distribute(&counts, self.batches, &mut rng);
        let mut unseen = self.classes.shuffled(&mut rng);
        Box::new(distributed.into_iter().map(move |keys| {
            let batch = keys.iter().filter_map(|&key| unseen[key as usize].pop());
            batch.collect()
        }))
    }

    fn batches(&self) -> usize {
        self.batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_row_comes_once_and_no_key_twice_in_a_batch(
            keys in prop::collection::vec(0i64..12, 1..80), batch_size in 1usize..20, seed: u64,
        ) {
            let config = NoDuplicatesSamplerConfig { batch_size, seed };
            let sampler = NoDuplicatesSampler::new(config, &keys).unwrap();
            let batches: Vec<Vec<usize>> = sampler.epoch(seed).collect();
            prop_assert_eq!(batches.len(), sampler.batches());
            for batch in &batches {
                prop_assert!((1..=batch_size).contains(&batch.len()));
                let mut seen: Vec<i64> = batch.iter().map(|&row| keys[row]).collect();
                seen.sort_unstable();
                prop_assert!(seen.windows(2).all(|pair| pair[0] < pair[1]));
            }
            let mut rows = batches.concat();
            rows.sort_unstable();
            prop_assert_eq!(rows, (0..keys.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_epoch_repeats_and_epochs_differ() -> Result<()> {
        let keys: Vec<i64> = (0..50).map(|i| i / 2).collect();
        let sampler = NoDuplicatesSampler::new(NoDuplicatesSamplerConfig::default(), &keys)?;
        let epoch: Vec<Vec<usize>> = sampler.epoch(1).collect();
        assert_eq!((epoch.len(), sampler.length()), (2, 50));
        assert_eq!(epoch, sampler.epoch(1).collect::<Vec<_>>());
        assert_ne!(epoch, sampler.epoch(2).collect::<Vec<_>>());
        Ok(())
    }

    /// Two rows without a key in common meet by chance: chi-square over ten batches, 2,000 epochs.
    #[test]
    fn batches_are_random() -> Result<()> {
        let keys: Vec<i64> = (0..100).collect();
        let config = NoDuplicatesSamplerConfig {
            batch_size: 10,
            seed: 0,
        };
        let sampler = NoDuplicatesSampler::new(config, &keys)?;
        let mut counts = [0u32; 10];
        let mut together = 0u32;
        for epoch in 0..2_000 {
            for (b, batch) in sampler.epoch(epoch).enumerate() {
                counts[b] += u32::from(batch.contains(&17));
                together += u32::from(batch.contains(&17) && batch.contains(&55));
            }
        }
        let chi_square: f64 = counts
            .iter()
            .map(|&n| (f64::from(n) - 200.).powi(2) / 200.)
            .sum();
        assert!(chi_square < 27.9, "{counts:?}"); // 9 degrees of freedom, p = 0.001
        // 2,000 epochs, 9 of 99 other places: 182 times, standard deviation 13.
        assert!((142..222).contains(&together), "{together}");
        Ok(())
    }

    #[test]
    fn wrong_parameters_are_named() {
        let config = NoDuplicatesSamplerConfig {
            batch_size: 0,
            seed: 0,
        };
        let error = NoDuplicatesSampler::new(config, [1i64]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "batch_size: expected a whole number >= 1, got 0"
        );
        let none =
            NoDuplicatesSampler::new(NoDuplicatesSamplerConfig::default(), Vec::<i64>::new());
        assert!(none.is_err());
    }
}
