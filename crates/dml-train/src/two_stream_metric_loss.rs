//! Two views that are never compared within themselves: photos and sketches, questions and answers.
//!
//! ```text
//! L = loss(z¹, labels; reference z², labels),   zᵛ = embedder(trunk(xᵛ))
//! ```
//!
//! Row i of the second view is a positive of row i of the first.

use candle_core::Tensor;
use dml_core::{Batch, Error, Examples, IntoLabels, Labels, Result};

use crate::model::{Model, of_model_and_criterion, with_embedder};
use crate::{Criterion, Losses, Method, Part};

/// Trains anchors of the first view against positives and negatives of the second ([formula](self)); PML's
/// `TwoStreamMetricLoss`.
///
/// A loss that takes no reference set, such as one with weights of classes, sees the rows of both views as one batch.
#[derive(Debug)]
pub struct TwoStreamMetricLoss {
    model: Model,
    criterion: Criterion,
}

impl TwoStreamMetricLoss {
    /// A trunk whose outputs are the embeddings, unless there is an embedder; both views go through it.
    pub fn new(trunk: Part, objective: impl Into<Criterion>) -> Self {
        Self {
            model: Model::new(trunk),
            criterion: objective.into(),
        }
    }

    with_embedder!();
}

/// All views as one tensor, and the labels once for each.
pub(crate) fn joined(embeddings: &[Tensor], labels: &[i64]) -> Result<(Tensor, Labels)> {
    let all = Tensor::cat(embeddings, 0)?;
    Ok((all, labels.repeat(embeddings.len()).into_labels()?))
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
    fn represent(&self, view: &Tensor, train: bool) -> Result<Tensor> {
        self.model.embed(view, train)
    }

    fn losses(&self, embeddings: &[Tensor], examples: &Examples, _: u64) -> Result<Losses> {
        check_views("TwoStreamMetricLoss", embeddings)?;
        let labels = examples.labels();
        let (all, all_labels) = joined(&embeddings[..2], labels.as_slice())?;
        let batch = if self.criterion.objective().loss().takes_reference() {
            Batch::new(&embeddings[0], labels)?.with_reference(&embeddings[1], labels)?
        } else {
            Batch::new(&all, all_labels)?
        };
        Losses::of(&all).with_criterion(&self.criterion, &batch)
    }

    of_model_and_criterion!();
}
