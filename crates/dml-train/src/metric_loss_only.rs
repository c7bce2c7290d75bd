//! One metric loss on the embeddings of a batch.
//!
//! ```text
//! L = loss(z, labels, miner(z, labels)),   z = embedder(trunk(x))
//! ```

use candle_core::Tensor;
use dml_core::{Examples, Objective, Result};

use crate::model::{Model, of_model_and_criterion, with_embedder};
use crate::{Criterion, Losses, Method, NamedModule};

/// Trains trunk and embedder by one objective ([formula](self)); PML's `MetricLossOnly`.
///
/// See the [crate's example](crate).
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `module(name, inputs, outputs)` is a linear layer with an optimiser, `objective()` a triplet loss.
/// use dml_train::{MetricLossOnly, Trainer};
///
/// let method = MetricLossOnly::new(module("trunk", 784, 32)?, objective()?)
///     .with_embedder(module("embedder", 32, 16)?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?).build()?;
/// trainer.run(1)?;
/// assert_eq!(trainer.steps(), 5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MetricLossOnly {
    model: Model,
    criterion: Criterion,
}

impl MetricLossOnly {
    /// A trunk whose outputs are the embeddings, unless there is an embedder.
    pub fn new(trunk: NamedModule, objective: impl Into<Criterion>) -> Self {
        Self {
            model: Model::new(trunk),
            criterion: objective.into(),
        }
    }

    with_embedder!();

    /// What is minimised.
    #[must_use]
    pub fn objective(&self) -> &Objective {
        self.criterion.objective()
    }
}

impl Method for MetricLossOnly {
    fn losses(&self, embeddings: &[Tensor], examples: &Examples, _: u64) -> Result<Losses> {
        let (rows, labels) = (examples.rows(), examples.labels());
        let batch = self
            .criterion
            .batch_of_first_view(embeddings, rows, labels)?;
        Losses::of(&embeddings[0]).with_criterion(&self.criterion, &batch)
    }

    of_model_and_criterion!();
}
