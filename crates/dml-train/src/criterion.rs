//! What is minimised, with the parameters that it learns itself.

use candle_core::Tensor;
use dml_core::{Batch, Objective, Outcome, Result, Tuples};

use crate::learner::learner_methods;
use crate::{Learner, LossValue};

/// An [`Objective`] with a name, a weight, and an optimiser for what its loss learns, such as the weights of classes.
///
/// A loss without parameters needs no optimiser; for one with parameters, forgetting it is an error when the
/// [`Trainer`](crate::Trainer) is built.
#[derive(Debug)]
pub struct Criterion {
    objective: Objective,
    weight: f64,
    pub(crate) learner: Learner,
}

impl From<Objective> for Criterion {
    /// Under the name `metric_loss`, with weight 1.
    fn from(objective: Objective) -> Self {
        Self::new("metric_loss", objective)
    }
}

impl Criterion {
    /// An objective under a name, with weight 1. Every criterion of a run needs a name of its own.
    pub fn new(name: impl Into<String>, objective: Objective) -> Self {
        let learner = Learner::new(name, objective.loss().parameters());
        Self {
            objective,
            weight: 1.0,
            learner,
        }
    }

    /// What its loss is multiplied with in the sum that is minimised.
    #[must_use]
    pub fn with_weight(mut self, weight: f64) -> Self {
        self.learner.set_left_out(weight == 0.0);
        Self { weight, ..self }
    }

    learner_methods!();

    /// The objective.
    #[must_use]
    pub fn objective(&self) -> &Objective {
        &self.objective
    }

    /// The weight.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.learner.name()
    }

    /// The loss of a batch over what the objective's miner chooses.
    ///
    /// # Errors
    /// As the objective.
    pub fn evaluate(&self, batch: &Batch) -> Result<(LossValue, Outcome)> {
        let outcome = self.objective.evaluate(batch)?;
        Ok((self.value(outcome.loss.clone()), outcome))
    }

    /// The loss of a batch over given tuples.
    ///
    /// # Errors
    /// As the objective.
    pub fn evaluate_tuples(&self, batch: &Batch, tuples: &Tuples) -> Result<(LossValue, Outcome)> {
        let outcome = self.objective.evaluate_tuples(batch, tuples)?;
        Ok((self.value(outcome.loss.clone()), outcome))
    }

    fn value(&self, loss: Tensor) -> LossValue {
        LossValue::new(self.name(), loss, self.weight)
    }
}
