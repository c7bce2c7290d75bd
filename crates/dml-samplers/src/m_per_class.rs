//! Balanced batches: `m` rows of each of some classes.
//!
//! ```text
//! batch = m rows of class c₁, m rows of class c₂, …, with batch_size / m different random classes
//! ```
//!
//! Pairs and triplets need rows of the same class side by side; a shuffled batch of many classes has hardly any. The
//! scheme is the `PK` sampling of Hermans, Beyer, Leibe, "In Defense of the Triplet Loss for Person
//! Re-Identification", 2017, arXiv:1703.07737, §2. PyTorch Metric Learning draws the classes of every batch anew, so
//! an epoch may miss rows and whole classes; `coverage` makes an epoch a pass over all rows.

use dml_core::{IntoLabels, Result, Sampler, check};
use rand::seq::{SliceRandom, index};
use rand::{Rng, RngCore};

use crate::batch_rows;
use crate::classes::{Classes, draw};
use crate::distribute::distribute;
use crate::epoch_rng::epoch_rng;

dml_core::config! {
    /// Configuration of [`MPerClassSampler`].
    pub struct MPerClassSamplerConfig {
        /// Rows of each class in a batch, 1 to 16,777,216.
        pub m: usize;
        /// Rows in a batch: a multiple of `m`, at most `m` for every class and at most 16,777,216. Default: `m` rows of every
        /// class.
        pub batch_size: Option<usize> = None,
        /// Rows in an epoch, rounded down to whole batches; at most 4,294,967,295. Default 100,000. Without meaning under `coverage`.
        pub length_before_new_iter: usize = 100_000,
        /// Whether an epoch is a pass over all rows instead of `length_before_new_iter` random ones. Default `false`.
        pub coverage: bool = false,
        /// Whether a batch may be of one class although the labels have several. Such a batch has no negatives, which only a
        /// memory of earlier batches can make up for. Default `false`: `batch_size` is then at least `2 m`.
        pub one_class_batches: bool = false,
        /// Seed of all draws. Default 0.
        pub seed: u64 = 0,
    }
}

/// `m` rows of each of `batch_size / m` classes per batch ([scheme](self)).
///
/// Classes follow each other in runs of `m` rows. No class comes twice in a batch, and no row twice in a run unless
/// the class has fewer than `m`, which are then drawn with replacement.
///
/// Under `coverage` every row comes at least once per epoch, and exactly once where all classes have the same number
/// of rows, a multiple of `m`, that fills the batches. Otherwise rows of smaller classes come again, as balance asks:
/// an epoch has as many batches as the largest class has runs, or more.
///
/// ```
/// use dml_core::Sampler;
/// use dml_samplers::{MPerClassSampler, MPerClassSamplerConfig};
///
/// let labels = [0i64, 0, 0, 1, 1, 1, 2, 2, 2];
/// let config = MPerClassSamplerConfig { batch_size: Some(4), length_before_new_iter: 10, ..MPerClassSamplerConfig::new(2) };
/// let sampler = MPerClassSampler::new(config, labels)?;
/// assert_eq!((sampler.batches(), sampler.length()), (2, 8)); // 10 rounded down to whole batches
/// for batch in sampler.epoch(0) {
///     let class: Vec<i64> = batch.iter().map(|&row| labels[row]).collect();
///     assert!(class[0] == class[1] && class[2] == class[3] && class[0] != class[2]);
/// }
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MPerClassSampler {
    classes: Classes,
    m: usize,
    classes_per_batch: usize,
    batches: usize,
    coverage: bool,
    seed: u64,
}

impl MPerClassSampler {
    /// A sampler of the rows that `labels` label.
    ///
    /// Without `batch_size`, a `length_before_new_iter` shorter than `m` rows of every class makes batches of fewer
    /// classes: the length is then rounded down to a multiple of `m`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `m` is 0, if `batch_size` is not a multiple of
    /// `m` or above `m` for every class, if it is `m` although there are several classes (without `one_class_batches`),
    /// if `length_before_new_iter` is below a batch (without `coverage`); [`Error::Shape`](dml_core::Error::Shape) if
    /// there are no labels.
    pub fn new(config: MPerClassSamplerConfig, labels: impl IntoLabels) -> Result<Self> {
        let m = check::count("m", config.m, batch_rows::MOST)?;
        let classes = Classes::new(&labels.into_labels()?)?;
        let length = config.length_before_new_iter;
        check::count_from("length_before_new_iter", length, 0, check::MOST)?;
        let classes_per_batch = match config.batch_size {
            Some(size) => {
                let fits = size > 0 && size.is_multiple_of(m);
                check::whole(fits, "batch_size", size, "a multiple of m")?;
                let expected = "at most m * (number of classes)";
                check::whole(size / m <= classes.len(), "batch_size", size, expected)?;
                size / m
            }
            None if config.coverage => classes.len(),
            None => classes.len().min(length / m),
        };
        let has_negatives = classes_per_batch != 1 || classes.len() == 1;
        let expected =
            "at least 2 * m, or one_class_batches: a batch of one class has no negatives";
        let fits = has_negatives || config.one_class_batches;
        check::whole(fits, "batch_size", m, expected)?;
        let rows = m * classes_per_batch;
        check::count_from("batch_size", rows, 0, batch_rows::MOST)?;
        let batches = if config.coverage {
            Self::covering(&classes, m, classes_per_batch)
        } else {
            let size = m * classes_per_batch.max(1);
            let expected = "at least batch_size, or at least m without one";
            check::whole(size <= length, "length_before_new_iter", length, expected)? / size
        };
        Ok(Self {
            classes,
            m,
            classes_per_batch,
            batches,
            coverage: config.coverage,
            seed: config.seed,
        })
    }

    /// How many rows an epoch yields: a multiple of the batch's size.
    #[must_use]
    pub fn length(&self) -> usize {
        self.batches * self.batch_size()
    }

    /// Rows in a batch.
    #[must_use]
    pub fn batch_size(&self) -> usize {
        self.m * self.classes_per_batch
    }

    /// How many batches have room for all runs, with no class twice in one.
    fn covering(classes: &Classes, m: usize, per_batch: usize) -> usize {
        let runs = classes.iter().map(|rows| rows.len().div_ceil(m));
        let largest = runs.clone().max().unwrap_or(0);
        runs.sum::<usize>().div_ceil(per_batch).max(largest)
    }

    fn draw_batches(&self, epoch: u64) -> impl Iterator<Item = Vec<usize>> + Send + '_ {
        let mut rng = epoch_rng(self.seed, epoch);
        let mut order: Vec<usize> = (0..self.classes.len()).collect();
        (0..self.batches).map(move |_| {
            let (chosen, _) = order.partial_shuffle(&mut rng, self.classes_per_batch);
            let mut batch = Vec::with_capacity(self.batch_size());
            for &class in chosen.iter() {
                draw(self.classes.rows(class), self.m, &mut rng, &mut batch);
            }
            batch
        })
    }

    fn cover_in_batches(&self, epoch: u64) -> impl Iterator<Item = Vec<usize>> + Send + '_ {
        let mut rng = epoch_rng(self.seed, epoch);
        let runs = self.runs_per_class(&mut rng);
        let distributed = distribute(&runs, self.batches, &mut rng);
        let mut unseen = self.classes.shuffled(&mut rng);
        distributed.into_iter().map(move |classes| {
            let mut batch = Vec::with_capacity(self.batch_size());
            for class in classes {
                let class = class as usize;
                self.next_run(class, &mut unseen[class], &mut rng, &mut batch);
            }
            batch
        })
    }

    /// Runs of each class: what its rows need, and as many more as fill the batches, distributed at random.
    fn runs_per_class(&self, rng: &mut impl Rng) -> Vec<usize> {
        let runs = self.classes.iter().map(|rows| rows.len().div_ceil(self.m));
        let mut runs: Vec<usize> = runs.collect();
        let is_open = |c: &usize| runs[*c] < self.batches;
        let mut open: Vec<usize> = (0..runs.len()).filter(is_open).collect();
        for _ in runs.iter().sum::<usize>()..self.batches * self.classes_per_batch {
            let at = rng.random_range(0..open.len());
            runs[open[at]] += 1;
            if runs[open[at]] == self.batches {
                open.swap_remove(at);
            }
        }
        runs
    }

    /// Appends `m` rows of a class: unseen ones first, then others of the class.
    fn next_run(
        &self,
        class: usize,
        unseen: &mut Vec<usize>,
        rng: &mut impl RngCore,
        batch: &mut Vec<usize>,
    ) {
        let rows = self.classes.rows(class);
        let start = batch.len();
        batch.extend(unseen.drain(unseen.len().saturating_sub(self.m)..));
        let (fresh, missing) = (batch.len() - start, self.m - (batch.len() - start));
        if missing == 0 {
        } else if rows.len() >= self.m {
            // `m` different rows hold at least `missing` that are not among the fresh ones.
            for i in index::sample(rng, rows.len(), self.m) {
                if batch.len() < start + self.m && !batch[start..start + fresh].contains(&rows[i]) {
                    batch.push(rows[i]);
                }
            }
        } else {
            batch.extend((0..missing).map(|_| rows[rng.random_range(0..rows.len())]));
        }
    }
}

impl Sampler for MPerClassSampler {
    fn epoch(&self, epoch: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
        if self.coverage {
            Box::new(self.cover_in_batches(epoch))
        } else {
            Box::new(self.draw_batches(epoch))
        }
    }

    fn batches(&self) -> usize {
        self.batches
    }
}

#[cfg(test)]
mod tests;
