//! Views of a row against the views of all other rows: no labels are read.
//!
//! ```text
//! L = loss([z¹; …; zⱽ], [1 … N; …; 1 … N])
//! ```
//!
//! With an NT-Xent loss: Chen, Kornblith, Norouzi, Hinton 2020, "A Simple Framework for Contrastive Learning of Visual
//! Representations" (arXiv 2002.05709).

use candle_core::Tensor;
use dml_core::{Batch, Examples, Result};

use crate::model::{Model, of_model_and_criterion, with_embedder};
use crate::two_stream_metric_loss::{check_views, joined};
use crate::{Criterion, Losses, Method, Part};

/// Trains views of a row to be alike ([formula](self)); PML's `UnsupervisedEmbeddingsUsingAugmentations`.
///
/// The data set gives two or more views of every row, such as augmentations of an image.
#[derive(Debug)]
pub struct UnsupervisedEmbeddingsUsingAugmentations {
    model: Model,
    criterion: Criterion,
}

impl UnsupervisedEmbeddingsUsingAugmentations {
    /// A trunk whose outputs are the embeddings, unless there is an embedder.
    pub fn new(trunk: Part, objective: impl Into<Criterion>) -> Self {
        Self {
            model: Model::new(trunk),
            criterion: objective.into(),
        }
    }

    with_embedder!();
}

impl Method for UnsupervisedEmbeddingsUsingAugmentations {
    fn represent(&self, view: &Tensor, train: bool) -> Result<Tensor> {
        self.model.embed(view, train)
    }

    fn losses(&self, embeddings: &[Tensor], examples: &Examples, _: u64) -> Result<Losses> {
        check_views("UnsupervisedEmbeddingsUsingAugmentations", embeddings)?;
        let rows: Vec<i64> = (0..examples.len() as i64).collect();
        let (all, labels) = joined(embeddings, &rows)?;
        let batch = Batch::new(&all, labels)?;
        Losses::of(&all).with_criterion(&self.criterion, &batch)
    }

    of_model_and_criterion!();
}
