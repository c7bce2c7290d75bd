//! A loss without labels: two or more views of the same things, each thing a class of its own.
//!
//! ```text
//! views V₀, V₁, … of n rows; row i of every view is of class i
//! symmetric:   the loss of the batch [V₀; V₁; …]
//! otherwise:   the loss of V₀ with the others as its reference set
//! ```
//!
//! A loss that compares two views row by row, such as [`VICRegLoss`](crate::VICRegLoss), gets the first view with the
//! second as its reference set and no labels, symmetric or not.
//!
//! With [`NTXentLoss`](crate::NTXentLoss) and two views this is the objective of Chen, Kornblith, Norouzi and Hinton, "A
//! Simple Framework for Contrastive Learning of Visual Representations" (2020, arXiv:2002.05709).

use std::collections::HashMap;

use dml_core::candle_core::{Tensor, Var};
use dml_core::{Batch, Error, Loss, Objective, Result, SeedSequence, Term, Terms, Tuples, check};

use crate::wrappers::inner_names::{LOSS, prefixed, unprefixed};

/// A loss over views ([formula](self)). One term `loss`, a scalar.
///
/// As a [`Loss`] it takes the batch's embeddings as one view and its reference set as the other, and reads no labels.
///
/// ```
/// use std::sync::Arc;
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::Objective;
/// use dml_distances::CosineSimilarity;
/// use dml_losses::{NTXentLoss, NTXentLossConfig, SelfSupervisedLoss};
/// use dml_reducers::MeanReducer;
///
/// let ntxent = NTXentLoss::new(NTXentLossConfig { temperature: 1.0 }, Arc::new(CosineSimilarity::default()))?;
/// let objective = Objective::new(Arc::new(ntxent), Arc::new(MeanReducer));
/// let loss = SelfSupervisedLoss::new(objective, true)?;
/// let view = Tensor::new(&[[1f32, 0.], [0., 1.]], &Device::Cpu)?;
/// // Each row has its twin at similarity 1 and both views of the other at 0: −ln(e / (e + 2)).
/// let value = loss.forward(&[view.clone(), view])?.to_scalar::<f32>()?;
/// assert!((value - 0.551_444_7).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SelfSupervisedLoss {
    objective: Objective,
    symmetric: bool,
}

impl SelfSupervisedLoss {
    /// Views compared by `objective`; `symmetric` makes rows of every view anchors, else only those of the first.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a loss that reads labels as classes, since here they are numbers of rows, and for
    /// one that neither takes a reference set nor compares views.
    pub fn new(objective: Objective, symmetric: bool) -> Result<Self> {
        let reason = if objective.loss().reads_classes() {
            "the loss reads labels as classes, and views have none"
        } else if objective.loss().reads_relation() && !objective.loss().takes_reference() {
            "the loss takes no reference set, and a second view is one"
        } else {
            return Ok(Self {
                objective,
                symmetric,
            });
        };
        Err(Error::unsupported("SelfSupervisedLoss", reason))
    }

    /// The loss of two or more views `[n, dim]` of the same n things in the same order.
    ///
    /// # Errors
    /// [`Error::Missing`] for less than two views, [`Error::Unsupported`] for more where the loss compares two row by
    /// row, [`Error::Length`] for views of unequal length, as [`Batch::new`] and as the loss.
    pub fn forward(&self, views: &[Tensor]) -> Result<Tensor> {
        let [first, others @ ..] = views else {
            return Err(TOO_FEW);
        };
        let second = others.first().ok_or(TOO_FEW)?;
        let rows = Batch::unlabeled(first)?.queries();
        for view in others {
            let got = Batch::unlabeled(view)?.queries();
            check::length("views", rows, got)?;
        }
        if !self.objective.loss().reads_relation() {
            let reason = "the loss compares two views row by row, and there are more";
            check::supported(others.len() == 1, "SelfSupervisedLoss", reason)?;
            let batch = Batch::unlabeled(first)?.with_unlabeled_reference(second)?;
            return self.objective.forward(&batch);
        }
        let labels =
            |views: usize| -> Vec<i64> { (0..views).flat_map(|_| 0..rows as i64).collect() };
        let batch = if self.symmetric {
            Batch::new(&Tensor::cat(views, 0)?, labels(views.len()))?
        } else {
            let reference = Tensor::cat(others, 0)?;
            Batch::new(first, labels(1))?.with_reference(&reference, labels(others.len()))?
        };
        self.objective.forward(&batch)
    }
}

const TOO_FEW: Error = Error::missing(
    "SelfSupervisedLoss",
    "two views: embeddings and a reference set of the same length",
);

impl Loss for SelfSupervisedLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        check::unweighted("SelfSupervisedLoss", batch)?;
        if let Some(terms) = batch.spoiled_rows()? {
            return Ok(terms);
        }
        let reason = "which rows belong together is said by their order, not by tuples";
        check::supported(tuples.is_all(), "SelfSupervisedLoss", reason)?;
        let reference = batch.reference().ok_or(TOO_FEW)?;
        let loss = self.forward(&[batch.embeddings().clone(), reference.clone()])?;
        Ok(Term::scalar("loss", loss)?.into())
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        prefixed(LOSS, self.objective.loss().parameters())
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        self.objective.seeds()
    }

    fn buffers(&self) -> Result<Vec<(String, Tensor)>> {
        Ok(prefixed(LOSS, self.objective.loss().buffers()?))
    }

    fn set_buffers(&self, buffers: &HashMap<String, Tensor>) -> Result<()> {
        let own = unprefixed(LOSS, buffers);
        self.objective.loss().set_buffers(&own)
    }

    fn takes_tuples(&self) -> bool {
        false
    }

    /// Which rows belong together is said by their order.
    fn reads_relation(&self) -> bool {
        false
    }
}
