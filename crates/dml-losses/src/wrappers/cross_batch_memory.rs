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
//! Rows of one batch are compared by the relation of the batch, rows of earlier batches by labels: a relation that says more
//! than labels, such as one that ignores pairs or has weights, holds within the batch and nowhere else.
//!
//! A row's own copy is left out *before* mining: a miner of easiest positives finds other rows instead of choosing the
//! copy and ending with nothing. Memory `memory_size · embedding_size`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dml_core::candle_core::{DType, Device, Tensor, Var};
use dml_core::{
    Batch, Error, Loss, Objective, Pairs, Relation, Result, SeedSequence, Term, Terms, Triplets,
    Tuples, check,
};

use crate::wrappers::inner_names::{LOSS, prefixed, unprefixed};

/// Configuration of [`CrossBatchMemory`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct CrossBatchMemoryConfig {
    /// Length of a row; 1 to 4,294,967,295.
    pub embedding_size: usize,
    /// Rows that the memory holds; 1 to 4,294,967,295. Default `1024`.
    #[cfg_attr(feature = "serde", serde(default = "default_memory_size"))]
    pub memory_size: usize,
}

#[cfg(feature = "serde")]
fn default_memory_size() -> usize {
    CrossBatchMemoryConfig::new(1).memory_size
}

impl CrossBatchMemoryConfig {
    /// A memory of 1,024 rows.
    #[must_use]
    pub fn new(embedding_size: usize) -> Self {
        Self {
            embedding_size,
            memory_size: 1024,
        }
    }
}

/// A loss against a memory of earlier rows ([formula](self)). One term `loss`, a scalar.
///
/// Its objective says how rows are compared: loss, reducer, regularizers, and a miner if there is one. Tuples that are
/// given besides name rows of the batch as anchors and places in the memory as positives and negatives.
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

/// A ring of rows.
#[derive(Clone, Debug)]
struct Queue {
    /// `[memory_size, embedding_size]`.
    embeddings: Tensor,
    labels: Vec<i64>,
    /// Where the next row goes.
    next: usize,
    filled: bool,
}

impl CrossBatchMemory {
    /// An empty memory around `objective`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a size of 0, [`Error::Unsupported`] for a loss that takes no reference set or no
    /// tuples.
    pub fn new(config: CrossBatchMemoryConfig, objective: Objective) -> Result<Self> {
        check::at_least_one("embedding_size", config.embedding_size)?;
        check::at_least_one("memory_size", config.memory_size)?;
        let sizes = [config.memory_size, config.embedding_size];
        check::elements("memory_size", &sizes, check::PARAMETER)?;
        if !objective.loss().takes_reference() {
            return Err(Error::Unsupported {
                component: "CrossBatchMemory",
                reason: "the loss takes no reference set, and the memory is one",
            });
        }
        if !objective.loss().takes_tuples() {
            return Err(Error::Unsupported {
                component: "CrossBatchMemory",
                reason: "the loss takes no tuples, and the memory chooses some",
            });
        }
        let shape = (config.memory_size, config.embedding_size);
        let queue = Queue {
            embeddings: Tensor::zeros(shape, DType::F32, &Device::Cpu)?,
            labels: vec![0; config.memory_size],
            next: 0,
            filled: false,
        };
        Ok(Self {
            objective,
            config,
            queue: Mutex::new(queue),
        })
    }

    /// How many rows the memory holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue().len()
    }

    /// Whether the memory holds no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets every row.
    ///
    /// # Errors
    /// [`Error::Tensor`] if Candle cannot do it.
    pub fn clear(&self) -> Result<()> {
        let mut queue = self.queue();
        *queue = Queue {
            embeddings: queue.embeddings.zeros_like()?,
            labels: vec![0; self.config.memory_size],
            next: 0,
            filled: false,
        };
        Ok(())
    }

    /// The terms where only the rows of `enqueue_mask` join the memory, and only the others are compared with it: rows
    /// of a slowly moving copy of the network may be remembered, say, and those of the network itself trained.
    ///
    /// # Errors
    /// [`Error::Length`] unless the mask has one entry per row; as [`Loss::terms`].
    pub fn terms_with_mask(&self, batch: &Batch, enqueue_mask: &[bool]) -> Result<Terms> {
        let labels = self.checked_labels(batch)?;
        if enqueue_mask.len() != labels.len() {
            return Err(Error::Length {
                arg: "enqueue_mask",
                expected: labels.len(),
                got: enqueue_mask.len(),
            });
        }
        if let Some(terms) = batch.spoiled_rows()? {
            return Ok(terms);
        }
        let rows = |kept: bool| -> Vec<u32> {
            (0..labels.len() as u32)
                .filter(|&i| enqueue_mask[i as usize] == kept)
                .collect()
        };
        let of = |rows: &[u32]| -> Vec<i64> { rows.iter().map(|&i| labels[i as usize]).collect() };
        let embeddings = batch.embeddings();
        let select = |rows: &[u32]| -> Result<Tensor> {
            let rows = Tensor::from_slice(rows, rows.len(), embeddings.device())?;
            Ok(embeddings.index_select(&rows, 0)?)
        };
        let (enqueued, compared) = (rows(true), rows(false));
        self.check_fits(enqueued.len())?;
        let (places, reference) = {
            let mut queue = self.queue();
            let places = queue.push(&select(&enqueued)?.detach(), &of(&enqueued))?;
            (places, queue.rows()?)
        };
        if compared.is_empty() || reference.1.is_empty() {
            return Ok(Term::scalar("loss", batch.zero()?)?.into());
        }
        let relation = Relation::cross_labels(of(&compared), &reference.1)?;
        let relation = match own_relation(batch) {
            Some(own) => relation.with_block(&places, &own.select(&compared, &enqueued)?)?,
            None => relation,
        };
        let batch = Batch::new(&select(&compared)?, of(&compared))?
            .with_reference(&reference.0, &reference.1)?
            .with_relation(relation)?;
        self.compare(&batch, &Tuples::all())
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every change replaces whole fields with checked values: after a panic the queue is still one.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_fits(&self, rows: usize) -> Result<()> {
        if rows <= self.config.memory_size {
            return Ok(());
        }
        Err(Error::Length {
            arg: "embeddings (rows that fit into the memory)",
            expected: self.config.memory_size,
            got: rows,
        })
    }

    fn checked_labels<'a>(&self, batch: &'a Batch) -> Result<&'a [i64]> {
        if batch.reference().is_some() {
            return Err(Error::Unsupported {
                component: "CrossBatchMemory",
                reason: "the memory is the reference set, and the batch has another one",
            });
        }
        if batch.embeddings().dims()[1] != self.config.embedding_size {
            return Err(Error::Shape {
                arg: "embeddings",
                expected: "[rows, embedding_size]",
                got: batch.embeddings().dims().to_vec(),
            });
        }
        if !self.reads_weights() {
            check::unweighted("CrossBatchMemory", batch)?;
        }
        let labels = batch.labels().ok_or(Error::Missing {
            component: "CrossBatchMemory",
            needed: "labels, which the memory keeps for later batches",
        })?;
        Ok(labels.as_slice())
    }

    /// The loss of a batch whose reference set is the memory.
    fn compare(&self, batch: &Batch, given: &Tuples) -> Result<Terms> {
        let mined = match self.objective.miner() {
            Some(miner) => miner.mine(&batch.detach())?,
            None => Tuples::from_set(batch.require_relation("CrossBatchMemory")?.mask()),
        };
        let tuples = joined(&mined, given, batch)?;
        let loss = self.objective.evaluate_tuples(batch, &tuples)?.loss;
        Ok(Term::scalar("loss", loss)?.into())
    }
}

impl Queue {
    fn len(&self) -> usize {
        if self.filled {
            self.labels.len()
        } else {
            self.next
        }
    }

    /// Puts rows where the oldest are, and returns their places.
    fn push(&mut self, rows: &Tensor, labels: &[i64]) -> Result<Vec<u32>> {
        let (size, count, next) = (self.labels.len(), labels.len(), self.next);
        let places = (next..next + count)
            .map(|place| (place % size) as u32)
            .collect();
        if count == 0 {
            return Ok(places);
        }
        let old = self
            .embeddings
            .to_dtype(rows.dtype())?
            .to_device(rows.device())?;
        // The memory is made anew instead of written to: the graph of an earlier loss may still hold it.
        let until_end = count.min(size - next);
        let wrapped = count - until_end;
        let parts = [
            rows.narrow(0, until_end, wrapped)?,
            old.narrow(0, wrapped, next - wrapped)?,
            rows.narrow(0, 0, until_end)?,
            old.narrow(0, next + until_end, size - next - until_end)?,
        ];
        self.embeddings = Tensor::cat(&parts, 0)?;
        for (i, label) in labels.iter().enumerate() {
            self.labels[(next + i) % size] = *label;
        }
        self.filled |= next + count >= size;
        self.next = (next + count) % size;
        Ok(places)
    }

    /// The rows that are filled, with their labels.
    fn rows(&self) -> Result<(Tensor, Vec<i64>)> {
        let len = self.len();
        Ok((
            self.embeddings.narrow(0, 0, len)?,
            self.labels[..len].to_vec(),
        ))
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
    fn append(to: &mut Vec<u32>, more: &[u32]) {
        to.extend_from_slice(more);
    }
    if given.is_all() {
        return Ok(mined.clone());
    }
    if mined.is_triplets() {
        let mut all = Triplets::clone(&*mined.triplets(batch)?);
        let given = given.triplets(batch)?;
        append(&mut all.anchors, &given.anchors);
        append(&mut all.positives, &given.positives);
        append(&mut all.negatives, &given.negatives);
        return Ok(all.into());
    }
    let mut all = Pairs::clone(&*mined.pairs(batch)?);
    let given = given.pairs(batch)?;
    append(&mut all.positive_anchors, &given.positive_anchors);
    append(&mut all.positives, &given.positives);
    append(&mut all.negative_anchors, &given.negative_anchors);
    append(&mut all.negatives, &given.negatives);
    Ok(all.into())
}

impl Loss for CrossBatchMemory {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        if let Some(terms) = batch.spoiled_rows()? {
            return Ok(terms);
        }
        let labels = self.checked_labels(batch)?;
        self.check_fits(labels.len())?;
        let (places, (reference, reference_labels)) = {
            let mut queue = self.queue();
            let places = queue.push(&batch.embeddings().detach(), labels)?;
            (places, queue.rows()?)
        };
        if labels.is_empty() {
            return Ok(Term::scalar("loss", batch.zero()?)?.into());
        }
        let copies: Vec<Option<u32>> = places.iter().copied().map(Some).collect();
        let relation =
            Relation::cross_labels(labels, &reference_labels)?.with_self_matches(&copies)?;
        let relation = match own_relation(batch) {
            Some(own) => relation.with_block(&places, own)?,
            None => relation,
        };
        let batch = batch
            .clone()
            .with_reference(&reference, &reference_labels)?
            .with_relation(relation)?;
        self.compare(&batch, tuples)
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        prefixed(LOSS, self.objective.loss().parameters())
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        self.objective.seeds()
    }

    fn buffers(&self) -> Result<Vec<(String, Tensor)>> {
        let queue = self.queue();
        let numbers = |x: &[i64]| Tensor::from_slice(x, x.len(), &Device::Cpu);
        let mut buffers = vec![
            ("embedding_memory".to_owned(), queue.embeddings.clone()),
            ("label_memory".to_owned(), numbers(&queue.labels)?),
            ("queue_idx".to_owned(), numbers(&[queue.next as i64])?),
            (
                "has_been_filled".to_owned(),
                numbers(&[i64::from(queue.filled)])?,
            ),
        ];
        buffers.extend(prefixed(LOSS, self.objective.loss().buffers()?));
        Ok(buffers)
    }

    fn set_buffers(&self, buffers: &HashMap<String, Tensor>) -> Result<()> {
        let find = |name: &'static str| {
            buffers.get(name).ok_or(Error::Missing {
                component: "CrossBatchMemory",
                needed: name,
            })
        };
        let embeddings = find("embedding_memory")?;
        let (rows, dim) = (self.config.memory_size, self.config.embedding_size);
        if embeddings.dims() != [rows, dim] {
            return Err(Error::Shape {
                arg: "embedding_memory",
                expected: "[memory_size, embedding_size]",
                got: embeddings.dims().to_vec(),
            });
        }
        let numbers = |name: &'static str, expected: usize| -> Result<Vec<i64>> {
            let values = find(name)?.flatten_all()?.to_dtype(DType::I64)?;
            let values = values.to_vec1::<i64>()?;
            if values.len() == expected {
                Ok(values)
            } else {
                Err(Error::Length {
                    arg: name,
                    expected,
                    got: values.len(),
                })
            }
        };
        let labels = numbers("label_memory", rows)?;
        let next = numbers("queue_idx", 1)?[0];
        let filled = numbers("has_been_filled", 1)?[0] != 0;
        if !(0..rows as i64).contains(&next) {
            return Err(Error::Index {
                arg: "queue_idx",
                position: 0,
                limit: rows,
                got: next,
            });
        }
        self.objective
            .loss()
            .set_buffers(&unprefixed(LOSS, buffers))?;
        *self.queue() = Queue {
            embeddings: embeddings.detach(),
            labels,
            next: next as usize,
            filled,
        };
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
