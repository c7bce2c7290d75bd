//! A metric loss and a classifier on the same embeddings.
//!
//! ```text
//! L = w_m · loss(z, labels, miner(z, labels)) + w_c · cross-entropy(classifier(z), labels)
//! ```

use candle_core::Tensor;
use dml_core::{Examples, Result};

use crate::model::{Model, with_embedder};
use crate::{Classifier, Criterion, Learner, Losses, Method, Part};

/// Trains trunk, embedder and classifier ([formula](self)); PML's `TrainWithClassifier`.
///
/// The losses are called `metric_loss`, or as the criterion is, and `classifier_loss`.
#[derive(Debug)]
pub struct TrainWithClassifier {
    model: Model,
    classifier: Classifier,
    criterion: Criterion,
}

impl TrainWithClassifier {
    /// A trunk whose outputs are the embeddings, unless there is an embedder.
    pub fn new(trunk: Part, classifier: Classifier, objective: impl Into<Criterion>) -> Self {
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

    fn parts(&self) -> Vec<&Part> {
        let mut parts = self.model.parts();
        parts.push(&self.classifier.part);
        parts
    }

    fn criteria(&self) -> Vec<&Criterion> {
        vec![&self.criterion]
    }

    fn learners_mut(&mut self) -> Vec<&mut Learner> {
        let mut learners = self.model.learners_mut();
        learners.push(self.classifier.part.learner_mut());
        learners.push(self.criterion.learner_mut());
        learners
    }
}
