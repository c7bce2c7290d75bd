//! Views of a row against the views of all other rows: no labels are read.
//!
//! ```text
//! L = loss([z¹; …; zⱽ], [r₁ … r_N; …; r₁ … r_N])        r: the rows of the data set
//! ```
//!
//! The label of a view is the number of its row in the data set, so that views of different batches, as in a memory, belong
//! together only where they show the same row.
//!
//! With an NT-Xent loss: Chen, Kornblith, Norouzi, Hinton 2020, "A Simple Framework for Contrastive Learning of Visual
//! Representations" (arXiv 2002.05709).

use candle_core::Tensor;
use dml_core::{Examples, IntoLabels, Result};

use crate::model::{Model, of_model_and_criterion, with_embedder};
use crate::two_stream_metric_loss::{check_views, joined};
use crate::{Criterion, Losses, Method, NamedModule};

/// Trains views of a row to be alike ([formula](self)); PML's `UnsupervisedEmbeddingsUsingAugmentations`.
///
/// The data set gives two or more views of every row, such as augmentations of an image. A loss that compares
/// two views row by row, such as VICReg, gets the second as its reference set and no labels.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `module(name, inputs, outputs)` is a linear layer with an optimiser, `objective()` a triplet loss.
/// use dml_train::{Trainer, UnsupervisedEmbeddingsUsingAugmentations};
///
/// // `TwoViews` is a data set with two views of every row.
/// let method = UnsupervisedEmbeddingsUsingAugmentations::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, TwoViews(digits()?), sampler()?).build()?;
/// trainer.run(1)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct UnsupervisedEmbeddingsUsingAugmentations {
    model: Model,
    criterion: Criterion,
}

impl UnsupervisedEmbeddingsUsingAugmentations {
    /// A trunk whose outputs are the embeddings, unless there is an embedder.
    pub fn new(trunk: NamedModule, objective: impl Into<Criterion>) -> Self {
        Self {
            model: Model::new(trunk),
            criterion: objective.into(),
        }
    }

    with_embedder!();
}

impl Method for UnsupervisedEmbeddingsUsingAugmentations {
    fn losses(&self, embeddings: &[Tensor], examples: &Examples, _: u64) -> Result<Losses> {
        check_views("UnsupervisedEmbeddingsUsingAugmentations", embeddings)?;
        let criterion = &self.criterion;
        let rows = examples.rows();
        let all = joined(embeddings)?;
        let batch = if criterion.reads_relation() {
            let views = embeddings.len();
            let numbers: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
            criterion.batch(
                &all,
                &rows.repeat(views),
                &numbers.repeat(views).into_labels()?,
            )?
        } else {
            criterion.batch_of_views(embeddings, rows, examples.labels())?
        };
        Losses::of(&all).with_criterion(&self.criterion, &batch)
    }

    of_model_and_criterion!();
}
