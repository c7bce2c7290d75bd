//! A part of each batch to learn from, chosen by the embeddings of all of it.
//!
//! ```text
//! z = embed(x)  outside of training, without graph;   rows = miner(z, labels);   step on x[rows], labels[rows]
//! ```

use std::fmt::{self, Debug};

use candle_core::Tensor;
use dml_core::{Batch, IntoLabels, Objective, Result, SeedSequence, check};
use rand::seq::index::sample;

/// Chooses the rows of a batch that a step learns from ([where](self)); PML's `subset_batch_miner`. [`ChooseRows`] makes a
/// closure one.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dml_core::{Batch, Result};
/// use dml_train::{MetricLossOnly, SubsetBatchMiner, Trainer};
///
/// /// Every second row of a batch.
/// #[derive(Debug)]
/// struct EverySecond;
///
/// impl SubsetBatchMiner for EverySecond {
///     fn choose(&self, batch: &Batch) -> Result<Vec<usize>> {
///         Ok((0..batch.queries()).step_by(2).collect())
///     }
/// }
///
/// let method = MetricLossOnly::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?)
///     .with_subset_batch_miner(EverySecond)
///     .build()?;
/// trainer.run(1)?;
/// # Ok(())
/// # }
/// ```
pub trait SubsetBatchMiner: Debug + Send + Sync {
    /// The chosen rows of a batch of embeddings with labels, in the order of the step's batch.
    ///
    /// # Errors
    /// As the miner.
    fn choose(&self, batch: &Batch) -> Result<Vec<usize>>;

    /// [Handles](SeedSequence::handle) of the random sequences of the miner, for checkpoints.
    fn seeds(&self) -> Vec<SeedSequence> {
        Vec::new()
    }
}

/// A closure as a [`SubsetBatchMiner`].
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dml_train::{ChooseRows, MetricLossOnly, Trainer};
///
/// // The first six rows of every batch.
/// let method = MetricLossOnly::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?)
///     .with_subset_batch_miner(ChooseRows(|_batch: &dml_core::Batch| Ok((0..6).collect())))
///     .build()?;
/// trainer.run(1)?;
/// # Ok(())
/// # }
/// ```
pub struct ChooseRows<F>(pub F);

impl<F: Fn(&Batch) -> Result<Vec<usize>> + Send + Sync> SubsetBatchMiner for ChooseRows<F> {
    fn choose(&self, batch: &Batch) -> Result<Vec<usize>> {
        self.0(batch)
    }
}

impl<F> fmt::Debug for ChooseRows<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChooseRows").finish_non_exhaustive()
    }
}

/// Chooses the one with the largest loss of several random subsets of a batch; formerly PML's `MaximumLossMiner`.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dml_train::{MaximumLoss, MetricLossOnly, Trainer};
///
/// let method = MetricLossOnly::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?)
///     .with_subset_batch_miner(MaximumLoss::new(objective()?, 6, 3, 0)?)
///     .build()?;
/// trainer.run(1)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MaximumLoss {
    objective: Objective,
    rows: usize,
    trials: usize,
    seeds: SeedSequence,
}

impl MaximumLoss {
    /// Draws `trials` subsets of `rows` rows and compares their losses. A batch of at most `rows` rows is used whole.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a number of 0.
    pub fn new(objective: Objective, rows: usize, trials: usize, seed: u64) -> Result<Self> {
        Ok(Self {
            objective,
            rows: check::at_least_one("rows", rows)?,
            trials: check::count("trials", trials, 1 << 20)?,
            seeds: SeedSequence::new(seed),
        })
    }
}

impl SubsetBatchMiner for MaximumLoss {
    fn choose(&self, batch: &Batch) -> Result<Vec<usize>> {
        let rows = batch.queries();
        if rows <= self.rows {
            return Ok((0..rows).collect());
        }
        let labels = check::present(batch.labels(), "MaximumLoss", "labels")?;
        let labels = labels.as_slice();
        let rng = &mut self.seeds.next_rng();
        let mut best: Option<(f64, Vec<usize>)> = None;
        for _ in 0..self.trials {
            let mut chosen = sample(rng, rows, self.rows).into_vec();
            chosen.sort_unstable();
            let rows: Vec<u32> = chosen.iter().map(|row| *row as u32).collect();
            let numbers = Tensor::new(rows.as_slice(), batch.embeddings().device())?;
            let embeddings = batch.embeddings().index_select(&numbers, 0)?.detach();
            let labels: Vec<i64> = chosen.iter().map(|row| labels[*row]).collect();
            let subset = Batch::new(&embeddings, labels.into_labels()?)?;
            let subset = match batch.relation() {
                Some(relation) => subset.with_relation(relation.select(&rows, &rows)?)?,
                None => subset,
            };
            let loss = crate::method::number(&self.objective.forward(&subset)?)?;
            if best.as_ref().is_none_or(|(largest, _)| loss > *largest) {
                best = Some((loss, chosen));
            }
        }
        Ok(best.map(|(_, chosen)| chosen).unwrap_or_default())
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        let mut seeds = vec![self.seeds.handle()];
        seeds.extend(self.objective.seeds());
        seeds
    }
}
