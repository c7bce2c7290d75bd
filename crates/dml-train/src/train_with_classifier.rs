//! A metric loss and a classifier on the same embeddings.
//!
//! ```text
//! L = w_m · loss(z, labels, miner(z, labels)) + w_c · cross-entropy(classifier(z), labels)
//! ```

use candle_core::Tensor;
use dml_core::{Examples, Result};

use crate::model::{Model, with_embedder};
use crate::{Classifier, Criterion, Losses, Method, NamedModule, ParameterGroup};

/// Trains trunk, embedder and classifier ([formula](self)); PML's `TrainWithClassifier`.
///
/// The losses are called `metric_loss`, or as the criterion is, and `classifier_loss`.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `module(name, inputs, outputs)` is a linear layer with an optimiser, `objective()` a triplet loss.
/// use dml_train::{Classifier, Flow, TrainWithClassifier, Trainer};
///
/// let classifier = Classifier::new(module("classifier", 16, 10)?);
/// let method = TrainWithClassifier::new(module("trunk", 784, 16)?, classifier, objective()?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?)
///     .on_iteration(|done| {
///         let names = done.losses.iter().map(|(name, _)| name.as_str());
///         assert!(names.eq(["metric_loss", "classifier_loss"]));
///         Ok(Flow::Continue)
///     })
///     .build()?;
/// trainer.run(1)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TrainWithClassifier {
    model: Model,
    classifier: Classifier,
    criterion: Criterion,
}

impl TrainWithClassifier {
    /// A trunk whose outputs are the embeddings, unless there is an embedder.
    pub fn new(
        trunk: NamedModule,
        classifier: Classifier,
        objective: impl Into<Criterion>,
    ) -> Self {
        Self {
            model: Model::new(trunk),
            classifier,
            criterion: objective.into(),
        }
    }

    with_embedder!();
}

impl Method for TrainWithClassifier {
    fn represent(&self, view: &Tensor, train: bool) -> Result<Tensor> {
        self.model.embed(view, train)
    }

    fn losses(&self, embeddings: &[Tensor], examples: &Examples, _: u64) -> Result<Losses> {
        let (rows, labels) = (examples.rows(), examples.labels());
        let batch = self
            .criterion
            .batch_of_first_view(embeddings, rows, labels)?;
        let embeddings = &embeddings[0];
        let classified = self
            .classifier
            .loss("classifier_loss", embeddings, labels)?;
        let losses = Losses::of(embeddings).with_criterion(&self.criterion, &batch)?;
        Ok(losses.with(classified))
    }

    fn modules(&self) -> Vec<&NamedModule> {
        let mut modules = self.model.modules();
        modules.push(&self.classifier.module);
        modules
    }

    fn criteria(&self) -> Vec<&Criterion> {
        vec![&self.criterion]
    }

    fn parameter_groups_mut(&mut self) -> Vec<&mut ParameterGroup> {
        let mut groups = self.model.parameter_groups_mut();
        groups.push(self.classifier.module.parameter_group_mut());
        groups.push(self.criterion.parameter_group_mut());
        groups
    }
}
