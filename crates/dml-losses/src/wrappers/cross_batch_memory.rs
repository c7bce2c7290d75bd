//! Cross-batch memory: a batch compared with the embeddings of the batches before it.
//!
//! ```text
//! queue ← queue + batch, the oldest rows leave            (constants: no gradient reaches earlier batches)
//! L = loss(batch, tuples, reference set = queue)
//! tuples = miner(batch, queue), or all pairs; a row and its own copy in the queue are never a pair
//! ```
//!
//! Wang, Zhang, Huang and Scott, "Cross-Batch Memory for Embedding Learning" (2020, arXiv:1912.06798).
//!
//! Rows of one batch are compared by the relation of the batch, and with rows of earlier batches by labels. A relation that
//! says more than labels, such as one that ignores pairs or has weights, applies within the batch only.
//!
//! A row's own copy is left out *before* mining: a miner of easiest positives finds other rows instead of choosing the
//! copy and ending with nothing. Memory `memory_size · embedding_size`.

mod queue;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dml_core::candle_core::{DType, Device, Tensor, Var};
use dml_core::{
    Batch, Loss, Objective, Pairs, Relation, Result, SeedSequence, Term, Terms, Triplets, Tuples,
    check,
};

use self::queue::{Queue, Rows};
use crate::wrappers::inner_names::{LOSS, prefixed, unprefixed};

dml_core::config! {
    /// Configuration of [`CrossBatchMemory`].
    #[derive(Eq)]
    pub struct CrossBatchMemoryConfig {
        /// Number of columns of the embeddings, 1 to 4,294,967,295.
        pub embedding_size: usize;
        /// Number of rows that the memory holds, 1 to 4,294,967,295. Default `1024`.
        pub memory_size: usize = 1024,
    }
}

/// A loss against a memory of earlier rows ([formula](self)). One term `loss`, a scalar.
///
/// The objective (loss, reducer, regularizers, and a miner if there is one) compares the rows. Tuples that are passed to
/// [`terms`](Loss::terms) refer to rows of the batch as anchors and to places in the memory as positives and negatives.
///
/// ```
/// use std::sync::Arc;
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Loss, Objective, Tuples};
/// use dml_distances::LpDistance;
/// use dml_losses::{ContrastiveLoss, ContrastiveLossConfig, CrossBatchMemory, CrossBatchMemoryConfig};
/// use dml_reducers::SumReducer;
///
/// let contrastive = ContrastiveLoss::new(ContrastiveLossConfig::default(), Arc::new(LpDistance::unnormalized()))?;
/// let objective = Objective::new(Arc::new(contrastive), Arc::new(SumReducer));
/// let memory = CrossBatchMemory::new(CrossBatchMemoryConfig::new(1), objective)?;
/// let value = |x: [[f32; 1]; 2], labels: [i64; 2]| -> dml_core::Result<f32> {
///     let batch = Batch::new(&Tensor::new(&x, &Device::Cpu)?, labels)?;
///     let terms = memory.terms(&batch, &Tuples::all())?;
///     Ok(terms.get("loss").unwrap().sum_within(None, None)?.sum.to_scalar()?)
/// };
/// // Two classes, 0.5 apart, which is 0.5 too near, seen from both sides.
/// assert_eq!(value([[0.], [0.5]], [0, 1])?, 1.0);
/// // A row beyond all margins of these, with one of class 0 at 0: its positive in the memory lies there too.
/// assert_eq!(value([[0.], [9.]], [0, 2])?, 0.5);
/// assert_eq!(memory.len(), 4);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct CrossBatchMemory {
    objective: Objective,
    config: CrossBatchMemoryConfig,
    queue: Mutex<Queue>,
}

impl CrossBatchMemory {
    /// An empty memory around `objective`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a size of 0,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) for a loss that takes no reference set or no tuples.
    pub fn new(config: CrossBatchMemoryConfig, objective: Objective) -> Result<Self> {
        check::at_least_one("embedding_size", config.embedding_size)?;
        check::at_least_one("memory_size", config.memory_size)?;
        let sizes = [config.memory_size, config.embedding_size];
        check::elements("memory_size", &sizes, check::PARAMETER)?;
        let reason = "the loss takes no reference set, and the memory is one";
        let fits = objective.loss().takes_reference();
        check::supported(fits, "CrossBatchMemory", reason)?;
        let reason = "the loss takes no tuples, and the memory chooses some";
        check::supported(objective.loss().takes_tuples(), "CrossBatchMemory", reason)?;
        let shape = (config.memory_size, config.embedding_size);
        let queue = Queue::empty(Tensor::zeros(shape, DType::F32, &Device::Cpu)?);
        Ok(Self {
            objective,
            config,
            queue: Mutex::new(queue),
        })
    }

    /// Number of rows in the memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue().len()
    }

    /// Whether the memory is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes every row.
    ///
    /// # Errors
    /// [`Error::Tensor`](dml_core::Error::Tensor) if Candle cannot do it.
    pub fn clear(&self) -> Result<()> {
        self.queue().clear()
    }

    /// The terms where only the rows of `enqueue_mask` join the memory, and only the others are compared with it. The
    /// former may come from a slowly moving copy of the network (as in `MoCo`), and the latter from the network itself.
    ///
    /// # Errors
    /// [`Error::Length`](dml_core::Error::Length) unless the mask has one entry per row; as [`Loss::terms`].
    pub fn terms_with_mask(&self, batch: &Batch, enqueue_mask: &[bool]) -> Result<Terms> {
        let labels = self.checked_labels(batch)?;
        check::length("enqueue_mask", labels.len(), enqueue_mask.len())?;
        if let Some(terms) = batch.spoiled_rows()? {
            return Ok(terms);
        }
        let (enqueued, compared): (Vec<u32>, Vec<u32>) =
            (0..labels.len() as u32).partition(|&row| enqueue_mask[row as usize]);
        let select = |rows: &[u32]| -> Result<(Tensor, Vec<i64>)> {
            let labels = rows.iter().map(|&row| labels[row as usize]).collect();
            let rows = Tensor::from_slice(rows, rows.len(), batch.embeddings().device())?;
            Ok((batch.embeddings().index_select(&rows, 0)?, labels))
        };
        let (new, new_labels) = select(&enqueued)?;
        let memory = self.queue().push(&new.detach(), &new_labels)?;
        if compared.is_empty() || memory.labels.is_empty() {
            return Ok(Term::scalar("loss", batch.zero()?)?.into());
        }
        let (rows, labels) = select(&compared)?;
        let mut relation = Relation::cross_labels(&labels, &memory.labels)?;
        if let Some(own) = own_relation(batch) {
            let own = own.select(&compared, &enqueued)?;
            relation = relation.with_block(&memory.pushed, &own)?;
        }
        self.compare(
            Batch::new(&rows, labels)?,
            &memory,
            relation,
            &Tuples::all(),
        )
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every change replaces whole fields with checked values: after a panic the queue is still one.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The labels of a batch that the memory can take.
    fn checked_labels<'a>(&self, batch: &'a Batch) -> Result<&'a [i64]> {
        let reason = "the memory is the reference set, and the batch has another one";
        check::supported(batch.reference().is_none(), "CrossBatchMemory", reason)?;
        let rows = batch.embeddings();
        let fits = rows.dims()[1] == self.config.embedding_size;
        check::shape(fits, "embeddings", rows, "[rows, embedding_size]")?;
        if !self.reads_weights() {
            check::unweighted("CrossBatchMemory", batch)?;
        }
        let needed = "labels, which the memory keeps for later batches";
        let labels = check::present(batch.labels(), "CrossBatchMemory", needed)?;
        Ok(labels.as_slice())
    }

    /// The loss of a batch against the memory.
    fn compare(
        &self,
        batch: Batch,
        memory: &Rows,
        relation: Relation,
        given: &Tuples,
    ) -> Result<Terms> {
        let batch = batch
            .with_reference(&memory.embeddings, &memory.labels)?
            .with_relation(relation)?;
        let mined = match self.objective.miner() {
            Some(miner) => miner.mine(&batch.detach())?,
            None => Tuples::from_set(batch.require_relation("CrossBatchMemory")?.mask()),
        };
        let tuples = joined(&mined, given, &batch)?;
        let loss = self.objective.evaluate_tuples(&batch, &tuples)?.loss;
        Ok(Term::scalar("loss", loss)?.into())
    }
}

/// The relation of the rows among themselves, where it says more than their labels.
fn own_relation(batch: &Batch) -> Option<&Relation> {
    let says_more = |own: &&Relation| {
        let is_its_own = |q| own.self_match(q).is_none_or(|row| row == q);
        let is_of_labels = own.query_labels().is_some()
            && own.query_labels() == batch.labels()
            && own.reference_labels() == batch.labels();
        !(is_of_labels && (0..own.queries()).all(is_its_own))
    };
    batch.relation().filter(says_more)
}

/// Mined tuples followed by given ones, in the form of the mined.
fn joined(mined: &Tuples, given: &Tuples, batch: &Batch) -> Result<Tuples> {
    if given.is_all() {
        return Ok(mined.clone());
    }
    if mined.is_triplets() {
        let (mined, given) = (mined.triplets(batch)?, given.triplets(batch)?);
        return Ok(Triplets::new(
            [&*mined.anchors, &given.anchors].concat(),
            [&*mined.positives, &given.positives].concat(),
            [&*mined.negatives, &given.negatives].concat(),
        )?
        .into());
    }
    let (mined, given) = (mined.pairs(batch)?, given.pairs(batch)?);
    Ok(Pairs::new(
        [&*mined.positive_anchors, &given.positive_anchors].concat(),
        [&*mined.positives, &given.positives].concat(),
        [&*mined.negative_anchors, &given.negative_anchors].concat(),
        [&*mined.negatives, &given.negatives].concat(),
    )?
    .into())
}

impl Loss for CrossBatchMemory {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        if let Some(terms) = batch.spoiled_rows()? {
            return Ok(terms);
        }
        let labels = self.checked_labels(batch)?;
        let memory = self.queue().push(&batch.embeddings().detach(), labels)?;
        if labels.is_empty() {
            return Ok(Term::scalar("loss", batch.zero()?)?.into());
        }
        let copies: Vec<Option<u32>> = memory.pushed.iter().copied().map(Some).collect();
        let mut relation = Relation::cross_labels(labels, &memory.labels)?;
        relation = relation.with_self_matches(&copies)?;
        if let Some(own) = own_relation(batch) {
            relation = relation.with_block(&memory.pushed, own)?;
        }
        self.compare(batch.clone(), &memory, relation, tuples)
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        prefixed(LOSS, self.objective.loss().parameters())
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        self.objective.seeds()
    }

    fn buffers(&self) -> Result<Vec<(String, Tensor)>> {
        let mut buffers = self.queue().buffers()?;
        buffers.extend(prefixed(LOSS, self.objective.loss().buffers()?));
        Ok(buffers)
    }

    fn set_buffers(&self, buffers: &HashMap<String, Tensor>) -> Result<()> {
        let shape = [self.config.memory_size, self.config.embedding_size];
        let queue = Queue::from_buffers(buffers, shape)?;
        self.objective
            .loss()
            .set_buffers(&unprefixed(LOSS, buffers))?;
        *self.queue() = queue;
        Ok(())
    }

    fn takes_reference(&self) -> bool {
        false
    }

    fn reads_weights(&self) -> bool {
        self.objective.loss().reads_weights()
    }

    fn reads_classes(&self) -> bool {
        self.objective.loss().reads_classes()
    }
}

#[cfg(test)]
mod tests;
