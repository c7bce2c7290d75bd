//! Rows that a miner finds hard come more often.
//!
//! ```text
//! weight(row) = appearances of the row in the mined tuples / the largest number of appearances
//! P(row)      = weight(row) / sum of all weights, drawn with replacement
//! ```
//!
//! The miner sees the whole data set, or a random part of it, at once, as the model embeds it at that time: hard rows
//! are found that would hardly meet in a batch.

use std::sync::{Arc, PoisonError, RwLock};

use dml_core::candle_core::Tensor;
use dml_core::{Batch, IntoLabels, Labels, Miner, Result, Sampler, TensorExt, check};
use rand::Rng;
use rand::seq::index;

use crate::classes::not_empty;
use crate::epoch_rng::epoch_rng;

dml_core::config! {
    /// Configuration of [`TuplesToWeightsSampler`].
    pub struct TuplesToWeightsSamplerConfig {
        /// Rows that are embedded and mined, drawn anew each time, and rows in an epoch. Default: all.
        pub subset_size: Option<usize> = None,
        /// Whether embeddings are divided by their length before they are mined. Default `true`.
        pub normalize_embeddings: bool = true,
        /// Rows in a batch, 1 to 4,294,967,295; the last batch of an epoch may be shorter. Default 32.
        pub batch_size: usize = 32,
        /// Seed of all draws. Default 0.
        pub seed: u64 = 0,
    }
}

/// Draws rows by how often they appear in mined tuples ([formula](self)).
///
/// The weights are those of the last [`refresh`](Self::refresh), which a training loop calls before an epoch; the first
/// comes with the sampler. Between two refreshes the same epoch gives the same batches. The weights are the sampler's
/// [state](Sampler::state), so a run with checkpoints goes on with those that it had.
///
/// ```
/// use dml_core::{Batch, Miner, Pairs, Result, Sampler, Tuples, candle_core::{Device, Tensor}};
/// use dml_samplers::{TuplesToWeightsSampler, TuplesToWeightsSamplerConfig};
///
/// /// Finds rows 0 and 1 hard, row 0 doubly so.
/// #[derive(Debug)]
/// struct Picky;
/// impl Miner for Picky {
///     fn mine(&self, _: &Batch) -> Result<Tuples> {
///         Ok(Pairs::new(vec![0], vec![0], vec![1], vec![0])?.into())
///     }
/// }
///
/// let model = |rows: &[usize]| Ok(Tensor::zeros((rows.len(), 2), dml_core::candle_core::DType::F32, &Device::Cpu)?);
/// let config = TuplesToWeightsSamplerConfig::default();
/// let sampler = TuplesToWeightsSampler::new(config, Picky, [0i64, 0, 1], model)?;
/// assert_eq!(*sampler.weights(), [1., 1. / 3., 0.]);
/// assert!(sampler.epoch(0).flatten().all(|row| row != 2));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct TuplesToWeightsSampler {
    config: TuplesToWeightsSamplerConfig,
    miner: Arc<dyn Miner>,
    labels: Labels,
    weights: RwLock<Arc<[f64]>>,
}

impl TuplesToWeightsSampler {
    /// A sampler of rows with these labels, with the weights that `embed` and `miner` give for epoch 0.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `subset_size` is 0 or larger than the data
    /// set, or `batch_size` is 0; [`Error::Shape`](dml_core::Error::Shape) if there are no rows; and as
    /// [`refresh`](Self::refresh).
    pub fn new(
        config: TuplesToWeightsSamplerConfig,
        miner: impl Miner + 'static,
        labels: impl IntoLabels,
        embed: impl FnOnce(&[usize]) -> Result<Tensor>,
    ) -> Result<Self> {
        check::at_least_one("batch_size", config.batch_size)?;
        let labels = labels.into_labels()?;
        not_empty(labels.as_slice(), "[rows] with at least one row")?;
        if let Some(size) = config.subset_size {
            let fits = (1..=labels.len()).contains(&size);
            let expected = "between 1 and the number of rows";
            check::whole(fits, "subset_size", size, expected)?;
        }
        let weights = RwLock::new(Arc::from(vec![0.0; labels.len()]));
        let sampler = Self {
            config,
            miner: Arc::new(miner),
            labels,
            weights,
        };
        sampler.refresh(0, embed)?;
        Ok(sampler)
    }

    /// Embeds the rows, or a random subset that depends on `epoch`, mines them, and takes the weights from the tuples.
    ///
    /// `embed` gets rows of the data set and returns their embeddings `[rows, dim]`, in that order. Where the miner
    /// finds nothing, all rows that it saw weigh the same; rows that it did not see weigh nothing.
    ///
    /// # Errors
    /// Those of `embed` and of the miner, and [`Error::Length`](dml_core::Error::Length) or
    /// [`Error::Shape`](dml_core::Error::Shape) if the embeddings don't fit.
    pub fn refresh(
        &self,
        epoch: u64,
        embed: impl FnOnce(&[usize]) -> Result<Tensor>,
    ) -> Result<()> {
        let rows = match self.config.subset_size {
            None => (0..self.labels.len()).collect(),
            // Streams of epochs serve the draws of `epoch`; this one is drawn from another seed.
            Some(size) => {
                let mut rng = epoch_rng(self.config.seed ^ SUBSETS, epoch);
                index::sample(&mut rng, self.labels.len(), size).into_vec()
            }
        };
        let mut embeddings = embed(&rows)?.detach();
        if self.config.normalize_embeddings {
            embeddings = embeddings.normalize_rows(2.0)?;
        }
        let labels = rows.iter().map(|&row| self.labels.as_slice()[row]);
        let batch = Batch::new(&embeddings, labels.collect::<Vec<i64>>())?;
        let tuples = self.miner.mine(&batch)?;
        let mut weights = vec![0.0; self.labels.len()];
        for (&row, weight) in rows.iter().zip(tuples.weights(&batch)?) {
            weights[row] = weight;
        }
        *self.weights.write().unwrap_or_else(PoisonError::into_inner) = weights.into();
        Ok(())
    }

    /// The weight of each row; the largest is 1.
    #[must_use]
    pub fn weights(&self) -> Arc<[f64]> {
        let weights = self.weights.read();
        weights.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many rows an epoch yields: `subset_size`, or all.
    #[must_use]
    pub fn length(&self) -> usize {
        self.config.subset_size.unwrap_or(self.labels.len())
    }
}

/// Sets the draws of subsets apart from those of rows.
const SUBSETS: u64 = 0x5ab5_e757_5ab5_e757;

impl Sampler for TuplesToWeightsSampler {
    fn epoch(&self, epoch: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
        let mut rng = epoch_rng(self.config.seed, epoch);
        let mut total = 0.0;
        let weights = self.weights();
        let drawn = weights
            .iter()
            .enumerate()
            .filter(|(_, weight)| **weight > 0.0);
        let ends = drawn.map(|(row, weight)| {
            total += weight;
            (row, total)
        });
        let (rows, ends): (Vec<usize>, Vec<f64>) = ends.unzip();
        let length = self.length();
        let size = self.config.batch_size;
        Box::new((0..self.batches()).map(move |b| {
            (b * size..((b + 1) * size).min(length))
                .map(|_| {
                    let at = rng.random::<f64>() * total;
                    // Rounding may put the product at the very end.
                    let row = ends.partition_point(|end| *end <= at).min(rows.len() - 1);
                    rows[row]
                })
                .collect()
        }))
    }

    fn batches(&self) -> usize {
        self.length().div_ceil(self.config.batch_size)
    }

    /// The weight of each row.
    fn state(&self) -> Option<Vec<f64>> {
        Some(self.weights().to_vec())
    }

    /// # Errors
    /// [`Error::Length`](dml_core::Error::Length) for another number of rows,
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for weights that are negative, not finite, or all
    /// 0.
    fn set_state(&self, state: &[f64]) -> Result<()> {
        check::length("state", self.labels.len(), state.len())?;
        let expected = "finite weights >= 0, one of them > 0";
        for &weight in state {
            let fits = (0.0..f64::INFINITY).contains(&weight);
            check::parameter(fits, "state", weight, expected)?;
        }
        let largest = state.iter().copied().fold(0.0, f64::max);
        check::parameter(largest > 0.0, "state", largest, expected)?;
        *self.weights.write().unwrap_or_else(PoisonError::into_inner) = Arc::from(state);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
