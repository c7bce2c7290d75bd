//! The same triplets in every epoch, as if they were all that is known.
//!
//! ```text
//! once: num_triplets times, two random classes; anchor and positive from the first, negative from the second
//! epoch: a₁ p₁ n₁ a₂ p₂ n₂ … in an order of its own
//! ```
//!
//! For experiments on learning from given triplets instead of labels.

use dml_core::{IntoLabels, Result, Sampler, check};
use rand::Rng;
use rand::seq::SliceRandom;

use crate::classes::{Classes, draw};
use crate::epoch_rng::{construction_rng, epoch_rng};

dml_core::config! {
    /// Configuration of [`FixedSetOfTriplets`].
    pub struct FixedSetOfTripletsConfig {
        /// Triplets in the set, 1 to 268,435,456.
        pub num_triplets: usize;
        /// Rows in a batch, a multiple of 3. Default: all triplets in one batch.
        pub batch_size: Option<usize> = None,
        /// Seed of the set and of its orders. Default 0.
        pub seed: u64 = 0,
    }
}

/// A fixed random set of triplets, flattened ([scheme](self)).
///
/// In a class of one row, anchor and positive are that row.
///
/// ```
/// use dml_core::Sampler;
/// use dml_samplers::{FixedSetOfTriplets, FixedSetOfTripletsConfig};
///
/// let labels = [0i64, 0, 1, 1];
/// let config = FixedSetOfTripletsConfig { batch_size: Some(6), ..FixedSetOfTripletsConfig::new(5) };
/// let sampler = FixedSetOfTriplets::new(config, labels)?;
/// assert_eq!((sampler.length(), sampler.batches()), (15, 3));
/// for triplet in sampler.epoch(0).flatten().collect::<Vec<_>>().chunks(3) {
///     let class: Vec<i64> = triplet.iter().map(|&row| labels[row]).collect();
///     assert!(class[0] == class[1] && class[0] != class[2]);
/// }
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FixedSetOfTriplets {
    triplets: Vec<[usize; 3]>,
    /// Triplets in a batch.
    per_batch: usize,
    seed: u64,
}

impl FixedSetOfTriplets {
    /// Draws the set from the classes of `labels`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `num_triplets` is 0, `batch_size` is no
    /// multiple of 3, or there are fewer than two classes; [`Error::Shape`](dml_core::Error::Shape) if there are no
    /// labels.
    pub fn new(config: FixedSetOfTripletsConfig, labels: impl IntoLabels) -> Result<Self> {
        let count = check::count("num_triplets", config.num_triplets, 1 << 28)?;
        check::elements("num_triplets", &[count, 3], 8)?;
        let size = config.batch_size.unwrap_or(3 * count);
        let fits = size > 0 && size.is_multiple_of(3);
        let per_batch = check::whole(fits, "batch_size", size, "a multiple of 3")? / 3;
        let classes = Classes::new(&labels.into_labels()?)?;
        let has_negatives = classes.len() > 1;
        let expected = "at least 2";
        check::whole(has_negatives, "classes of labels", classes.len(), expected)?;
        let mut rng = construction_rng(config.seed);
        let mut rows = Vec::with_capacity(3);
        let triplets = (0..count)
            .map(|_| {
                let near = rng.random_range(0..classes.len());
                let far = rng.random_range(0..classes.len() - 1);
                let far = far + usize::from(far >= near); // any class but `near`
                rows.clear();
                draw(classes.rows(near), 2, &mut rng, &mut rows);
                draw(classes.rows(far), 1, &mut rng, &mut rows);
                [rows[0], rows[1], rows[2]]
            })
            .collect();
        Ok(Self {
            triplets,
            per_batch,
            seed: config.seed,
        })
    }

    /// The triplets `[anchor, positive, negative]`, in the order they were drawn.
    #[must_use]
    pub fn triplets(&self) -> &[[usize; 3]] {
        &self.triplets
    }

    /// How many rows an epoch yields: three for each triplet.
    #[must_use]
    pub fn length(&self) -> usize {
        3 * self.triplets.len()
    }
}

impl Sampler for FixedSetOfTriplets {
    fn epoch(&self, epoch: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
        let mut triplets = self.triplets.clone();
        triplets.shuffle(&mut epoch_rng(self.seed, epoch));
        Box::new((0..self.batches()).map(move |b| {
            let start = b * self.per_batch;
            triplets[start..(start + self.per_batch).min(triplets.len())].concat()
        }))
    }

    fn batches(&self) -> usize {
        self.triplets.len().div_ceil(self.per_batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(num_triplets: usize, batch_size: Option<usize>) -> FixedSetOfTripletsConfig {
        FixedSetOfTripletsConfig {
            batch_size,
            ..FixedSetOfTripletsConfig::new(num_triplets)
        }
    }

    fn sorted_epoch(sampler: &FixedSetOfTriplets, epoch: u64) -> Vec<Vec<usize>> {
        let rows: Vec<usize> = sampler.epoch(epoch).flatten().collect();
        let mut triplets: Vec<Vec<usize>> = rows.chunks(3).map(<[usize]>::to_vec).collect();
        triplets.sort_unstable();
        triplets
    }

    #[test]
    fn the_set_stays_and_its_order_changes() -> Result<()> {
        let labels: Vec<i64> = (0..20).map(|i| i % 6).collect();
        let sampler = FixedSetOfTriplets::new(config(40, None), &labels)?;
        assert_eq!((sampler.length(), sampler.batches()), (120, 1));
        for &[a, p, n] in sampler.triplets() {
            assert!(labels[a] == labels[p] && a != p && labels[n] != labels[a]);
        }
        assert_eq!(sorted_epoch(&sampler, 0), sorted_epoch(&sampler, 1));
        assert_ne!(sampler.epoch(0).next(), sampler.epoch(1).next());
        assert_eq!(sampler.epoch(1).next(), sampler.epoch(1).next());
        Ok(())
    }

    #[test]
    fn batches_hold_whole_triplets() -> Result<()> {
        let labels: Vec<i64> = (0..20).map(|i| i % 6).collect();
        let sampler = FixedSetOfTriplets::new(config(7, Some(9)), &labels)?;
        let sizes: Vec<usize> = sampler.epoch(0).map(|batch| batch.len()).collect();
        assert_eq!((sizes, sampler.batches()), (vec![9, 9, 3], 3));
        Ok(())
    }

    #[test]
    fn a_class_of_one_row_is_its_own_positive() -> Result<()> {
        let sampler = FixedSetOfTriplets::new(config(10, None), [0i64, 3, 6, 9, 12])?;
        assert!(sampler.triplets().iter().all(|&[a, p, n]| a == p && a != n));
        Ok(())
    }

    #[test]
    fn wrong_parameters_are_named() {
        for (config, labels, message) in [
            (
                config(0, None),
                [0i64, 1],
                "num_triplets: expected a whole number >= 1, got 0",
            ),
            (
                config(1, Some(4)),
                [0, 1],
                "batch_size: expected a multiple of 3, got 4",
            ),
            (
                config(1, Some(0)),
                [0, 1],
                "batch_size: expected a multiple of 3, got 0",
            ),
            (
                config(1, None),
                [5, 5],
                "classes of labels: expected at least 2, got 1",
            ),
        ] {
            let error = FixedSetOfTriplets::new(config, labels).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        assert!(FixedSetOfTriplets::new(config(1, None), Vec::<i64>::new()).is_err());
    }

    /// Ordered pairs of classes are equally likely, whatever the sizes: chi-square of 12 pairs, p = 0.001.
    #[test]
    fn pairs_of_classes_are_uniform() -> Result<()> {
        let labels: Vec<i64> = [vec![0; 2], vec![1; 20], vec![2; 5], vec![3; 1]].concat();
        let sampler = FixedSetOfTriplets::new(config(12_000, None), &labels)?;
        let mut counts = [[0u32; 4]; 4];
        for &[a, _, n] in sampler.triplets() {
            counts[labels[a] as usize][labels[n] as usize] += 1;
        }
        let chi_square: f64 = (0..16)
            .filter(|i| i % 5 != 0)
            .map(|i| (f64::from(counts[i / 4][i % 4]) - 1e3).powi(2) / 1e3)
            .sum();
        assert!(chi_square < 31.3, "{counts:?}"); // 11 degrees of freedom
        Ok(())
    }
}
