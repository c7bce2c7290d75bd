//! Two views that are never compared within themselves: photos and sketches, questions and answers.
//!
//! ```text
//! L = loss(z¹, labels; reference z², labels),   zᵛ = embedder(trunk(xᵛ))
//! ```
//!
//! Row i of the second view is a positive of row i of the first.

use candle_core::Tensor;
use dml_core::{Error, Examples, IntoLabels, Result};

use crate::model::{Model, of_model_and_criterion, with_embedder};
use crate::{Criterion, Losses, Method, NamedModule};

/// Trains anchors of the first view against positives and negatives of the second ([formula](self)); PML's
/// `TwoStreamMetricLoss`.
///
/// A loss that takes no reference set, such as one with weights of classes, gets the rows of both views as one batch. A
/// loss that compares views row by row, such as VICReg, gets the second view as its reference set and no labels.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `module(name, inputs, outputs)` is a linear layer with an optimiser, `objective()` a triplet loss.
/// use dml_train::{Trainer, TwoStreamMetricLoss};
///
/// // `TwoViews` is a data set with two views of every row.
/// let method = TwoStreamMetricLoss::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, TwoViews(digits()?), sampler()?).build()?;
/// trainer.run(1)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TwoStreamMetricLoss {
    model: Model,
    criterion: Criterion,
}

impl TwoStreamMetricLoss {
    /// A trunk whose outputs are the embeddings, unless there is an embedder; both views go through it.
    pub fn new(trunk: NamedModule, objective: impl Into<Criterion>) -> Self {
        Self {
            model: Model::new(trunk),
            criterion: objective.into(),
        }
    }

    with_embedder!();
}

/// All views as one tensor.
pub(crate) fn joined(embeddings: &[Tensor]) -> Result<Tensor> {
    Ok(Tensor::cat(embeddings, 0)?)
}

pub(crate) fn check_views(component: &'static str, embeddings: &[Tensor]) -> Result<()> {
    if embeddings.len() < 2 {
        return Err(Error::Missing {
            component,
            needed: "two views of every row",
        });
    }
    Ok(())
}

impl Method for TwoStreamMetricLoss {
    fn losses(&self, embeddings: &[Tensor], examples: &Examples, _: u64) -> Result<Losses> {
        check_views("TwoStreamMetricLoss", embeddings)?;
        let (rows, labels) = (examples.rows(), examples.labels());
        let views = &embeddings[..2];
        let all = joined(views)?;
        let criterion = &self.criterion;
        let takes_reference = criterion.objective().loss().takes_reference();
        let batch = if takes_reference || !criterion.reads_relation() {
            criterion.batch_of_views(views, rows, labels)?
        } else {
            let twice = labels.as_slice().repeat(2).into_labels()?;
            criterion.batch(&all, &rows.repeat(2), &twice)?
        };
        Losses::of(&all).with_criterion(&self.criterion, &batch)
    }

    of_model_and_criterion!();
}
