//! Criteria: objectives with a name, a weight, and an optimiser for the parameters of their loss.

use candle_core::Tensor;
use dml_core::{Batch, Error, Labels, Objective, Outcome, Relation, Result, Tuples, check};

use crate::closure::Closure;
use crate::parameter_group::parameter_group_methods;
use crate::{LossValue, ParameterGroup};

/// An [`Objective`] with a name, a weight, and an optimiser for what its loss learns, such as the weights of classes.
///
/// A loss without parameters needs no optimiser. A loss with parameters and without optimiser is an error when the
/// [`Trainer`](crate::Trainer) is built.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dml_train::Criterion;
///
/// let criterion = Criterion::new("triplets", objective()?).with_weight(0.5);
/// assert_eq!((criterion.name(), criterion.weight()), ("triplets", 0.5));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Criterion {
    objective: Objective,
    weight: f64,
    relation: Option<Box<Closure<MakeRelation>>>,
    pub(crate) group: ParameterGroup,
}

/// Makes the relation of a batch from the rows of the data set in it and their labels.
type MakeRelation = dyn Fn(&[usize], &Labels) -> Result<Relation> + Send + Sync;

impl From<Objective> for Criterion {
    /// Under the name `metric_loss`, with weight 1.
    fn from(objective: Objective) -> Self {
        Self::new("metric_loss", objective)
    }
}

impl Criterion {
    /// An objective under a name, with weight 1. Names are unique in a run.
    pub fn new(name: impl Into<String>, objective: Objective) -> Self {
        let group = ParameterGroup::new(name, objective.loss().parameters());
        Self {
            objective,
            weight: 1.0,
            relation: None,
            group,
        }
    }

    dml_core::setters! {
        /// Weight of the loss in the sum that is minimised.
        pub fn with_weight(self, weight: f64) {
            self.group.left_out = weight == 0.0;
            self.weight = weight
        }

        /// Decides positives and negatives of a batch by any [`Relation`] instead of by labels.
        ///
        /// `relation` gets the rows of the data set that the embeddings of the batch belong to and their labels, in order; a
        /// row of several views comes once for each. It must give the same relation for the same rows. Rows of a memory of
        /// earlier batches are still compared by labels.
        ///
        /// ```
        /// use std::sync::Arc;
        /// use dml_core::{Objective, Relation};
        /// use dml_distances::LpDistance;
        /// use dml_losses::{ContrastiveLoss, ContrastiveLossConfig};
        /// use dml_reducers::MeanReducer;
        /// use dml_train::Criterion;
        ///
        /// // Ages of four people, one for each row of the data set: positives are less than 5 years apart.
        /// let ages = [31.0, 33.0, 64.0, 65.5];
        /// let loss = ContrastiveLoss::new(ContrastiveLossConfig::default(), LpDistance::default())?;
        /// let criterion = Criterion::from(Objective::new(loss, MeanReducer))
        ///     .with_relation(move |rows, _labels| {
        ///         let ages: Vec<f64> = rows.iter().map(|&row| ages[row]).collect();
        ///         Relation::targets(&ages, None, 5.0)
        ///     });
        /// # let _ = criterion;
        /// # Ok::<(), dml_core::Error>(())
        /// ```
        pub fn with_relation(self, relation: impl Fn(&[usize], &Labels) -> Result<Relation> + Send + Sync + 'static) {
            self.relation = Some(Box::new(Closure(relation)))
        }
    }

    parameter_group_methods!();

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
        self.group.name()
    }

    /// The relation among rows of the data set with these labels.
    ///
    /// # Errors
    /// As the function given to [`with_relation`](Self::with_relation).
    pub fn relation(&self, rows: &[usize], labels: &Labels) -> Result<Relation> {
        match &self.relation {
            None => Relation::labels(labels),
            Some(relation) => (relation.0)(rows, labels),
        }
    }

    /// A batch of embeddings `[n, dim]` that belong to rows of the data set with these labels.
    ///
    /// # Errors
    /// As [`Batch::new`], [`Batch::with_relation`] and the function given to [`with_relation`](Self::with_relation).
    pub fn batch(&self, embeddings: &Tensor, rows: &[usize], labels: &Labels) -> Result<Batch> {
        let batch = Batch::new(embeddings, labels)?;
        match &self.relation {
            None => Ok(batch),
            Some(relation) => batch.with_relation((relation.0)(rows, labels)?),
        }
    }

    /// A batch of one view of rows, and with a loss that [reads no relation](dml_core::Loss::reads_relation) the second
    /// view, if there is one, as its reference set.
    ///
    /// # Errors
    /// As [`batch`](Self::batch) and [`batch_of_views`](Self::batch_of_views).
    pub fn batch_of_first_view(
        &self,
        views: &[Tensor],
        rows: &[usize],
        labels: &Labels,
    ) -> Result<Batch> {
        match views {
            [_, _, ..] if !self.reads_relation() => self.batch_of_views(views, rows, labels),
            [view, ..] if !self.reads_relation() => self.unlabeled(view),
            [view, ..] => self.batch(view, rows, labels),
            [] => Err(too_few_views()),
        }
    }

    /// A batch of the first view of rows with the second as its reference set: a row and its other view are compared by
    /// the relation like any two rows. With a loss that [reads no relation](dml_core::Loss::reads_relation) the batch has
    /// none.
    ///
    /// # Errors
    /// [`Error::Missing`] for less than two views, [`Error::Unsupported`] for more; as [`batch`](Self::batch).
    pub fn batch_of_views(
        &self,
        views: &[Tensor],
        rows: &[usize],
        labels: &Labels,
    ) -> Result<Batch> {
        let [first, second, others @ ..] = views else {
            return Err(too_few_views());
        };
        let reason = "the loss compares two views, and the data set gives more";
        check::supported(others.is_empty(), "Criterion", reason)?;
        if !self.reads_relation() {
            return self.unlabeled(first)?.with_unlabeled_reference(second);
        }
        let batch = Batch::new(first, labels)?.with_reference(second, labels)?;
        match &self.relation {
            None => Ok(batch),
            Some(relation) => {
                batch.with_relation((relation.0)(rows, labels)?.without_self_matches())
            }
        }
    }

    fn unlabeled(&self, embeddings: &Tensor) -> Result<Batch> {
        let reason = "the loss compares two views row by row and reads no relation";
        check::supported(self.relation.is_none(), "Criterion::with_relation", reason)?;
        Batch::unlabeled(embeddings)
    }

    /// Checks that the loss takes the tuples of the miner.
    pub(crate) fn check_miner(&self) -> Result<()> {
        let fits = self.objective.miner().is_none() || self.objective.loss().takes_tuples();
        let reason = "the loss takes no tuples, and the miner chooses some";
        check::supported(fits, "Criterion", reason)
    }

    /// Whether positives are decided by another relation than that of labels.
    pub(crate) fn has_relation(&self) -> bool {
        self.relation.is_some()
    }

    pub(crate) fn reads_relation(&self) -> bool {
        self.objective.loss().reads_relation()
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

fn too_few_views() -> Error {
    Error::missing("Criterion", "two views of every row")
}
