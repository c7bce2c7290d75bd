//! Two views that are never compared within themselves: photos and sketches, questions and answers.
//!
//! ```text
//! L = loss(z¹, labels; reference z², labels),   zᵛ = embedder(trunk(xᵛ))
//! symmetric:   L = (loss(z¹; reference z²) + loss(z²; reference z¹)) / 2
//! ```
//!
//! Row i of the second view is a positive of row i of the first. Further views are hard negatives: they join the reference set
//! with a label that no row has, so that every anchor is compared with the hard negatives of the whole batch. The views share trunk and embedder, or have a tower each: an
//! image encoder and a text encoder (Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
//! Supervision", arXiv 2103.00020, whose loss is the symmetric one), a query encoder and a document encoder.

use candle_core::Tensor;
use dml_core::{Batch, Examples, IntoLabels, Labels, Result, check};

use crate::model::{Model, with_embedder};
use crate::{Criterion, Losses, Method, NamedModule, ParameterGroup};

/// Trains anchors of the first view against positives and negatives of the second ([formula](self)); PML's
/// `TwoStreamMetricLoss`.
///
/// A loss that takes no reference set, such as one with weights of classes, gets the rows of both views as one batch. A
/// loss that compares views row by row, such as VICReg, gets the second view as its reference set and no labels.
///
/// Views beyond the second are hard negatives of their row, and of all other rows of the batch.
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
    /// Network of the second view; the same as that of the first if there is none.
    second: Option<Model>,
    symmetric: bool,
    criterion: Criterion,
}

impl TwoStreamMetricLoss {
    /// A trunk whose outputs are the embeddings, unless there is an embedder; both views go through it.
    pub fn new(trunk: NamedModule, objective: impl Into<Criterion>) -> Self {
        Self {
            model: Model::new(trunk),
            second: None,
            symmetric: false,
            criterion: objective.into(),
        }
    }

    with_embedder!();

    dml_core::setters! {
        /// Embeds the second view by another network, whose modules have names of their own. Both networks give embeddings of one
        /// length. [`Method::embed_view`] embeds with either.
        ///
        /// ```
        /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
        /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// use dml_train::{Trainer, TwoStreamMetricLoss};
        ///
        /// let method = TwoStreamMetricLoss::new(module("image", 784, 16)?, objective()?)
        ///     .with_second_tower(module("text", 784, 32)?, Some(module("text_head", 32, 16)?));
        /// let mut trainer = Trainer::builder(method, TwoViews(digits()?), sampler()?).build()?;
        /// trainer.run(1)?;
        /// # Ok(())
        /// # }
        /// ```
        pub fn with_second_tower(self, trunk: NamedModule, embedder: Option<NamedModule>) {
            self.second = Some(Model { trunk, embedder })
        }

        /// Averages the loss with that of anchors of the second view against the first. The loss must take a reference set.
        pub fn symmetric(self) { self.symmetric = true }
    }

    /// The network of a view.
    /// The loss where rows have hard negatives, one view for each.
    fn losses_with_negatives(
        &self,
        views: &[Tensor],
        negatives: &[Tensor],
        labels: &Labels,
    ) -> Result<Losses> {
        const NAME: &str = "TwoStreamMetricLoss";
        let criterion = &self.criterion;
        let takes_them = criterion.objective().loss().takes_reference()
            && criterion.reads_relation()
            && !criterion.has_relation();
        let reason = "views beyond the second are hard negatives, for losses that take a reference set with labels";
        check::supported(takes_them, NAME, reason)?;
        let reason = "hard negatives belong to the second view, so the loss has one direction";
        check::supported(!self.symmetric, "TwoStreamMetricLoss::symmetric", reason)?;
        let own = labels.as_slice();
        let lowest = own.iter().copied().min().unwrap_or(0);
        let label = lowest.checked_sub(1).or_else(|| {
            let highest = own.iter().copied().max()?;
            highest.checked_add(1)
        });
        let label = check::present(label, NAME, "a label that no row has")?;
        let references = [&views[1..], negatives].concat();
        let counts = negatives.iter().map(|view| view.dims().first().copied());
        let count: usize = counts.flatten().sum();
        let mut of_references = own.to_vec();
        of_references.extend(std::iter::repeat_n(label, count));
        let batch = Batch::new(&views[0], labels)?
            .with_reference(&joined(&references)?, of_references.into_labels()?)?;
        Losses::of(&joined(&[views, negatives].concat())?).with_criterion(criterion, &batch)
    }

    fn tower(&self, index: usize) -> &Model {
        let second = self.second.as_ref().filter(|_| index > 0);
        second.unwrap_or(&self.model)
    }
}

/// All views as one tensor.
pub(crate) fn joined(embeddings: &[Tensor]) -> Result<Tensor> {
    Ok(Tensor::cat(embeddings, 0)?)
}

pub(crate) fn check_views(component: &'static str, embeddings: &[Tensor]) -> Result<()> {
    check::present(embeddings.get(1), component, "two views of every row").map(drop)
}

impl Method for TwoStreamMetricLoss {
    fn losses(&self, embeddings: &[Tensor], examples: &Examples, _: u64) -> Result<Losses> {
        check_views("TwoStreamMetricLoss", embeddings)?;
        let (rows, labels) = (examples.rows(), examples.labels());
        let (views, negatives) = embeddings.split_at(2);
        if !negatives.is_empty() {
            return self.losses_with_negatives(views, negatives, labels);
        }
        let (arg, expected) = ("embeddings of the second view", "that of the first view");
        let are_alike = views[1].dims() == views[0].dims();
        check::shape(are_alike, arg, &views[1], expected)?;
        let all = joined(views)?;
        let criterion = &self.criterion;
        let takes_reference = criterion.objective().loss().takes_reference();
        let batch = if takes_reference || !criterion.reads_relation() {
            criterion.batch_of_views(views, rows, labels)?
        } else {
            let twice = labels.as_slice().repeat(2).into_labels()?;
            criterion.batch(&all, &rows.repeat(2), &twice)?
        };
        let losses = Losses::of(&all);
        if !self.symmetric {
            return losses.with_criterion(criterion, &batch);
        }
        let reason = "the loss takes no reference set, so it has no direction";
        check::supported(takes_reference, "TwoStreamMetricLoss::symmetric", reason)?;
        let reversed = [views[1].clone(), views[0].clone()];
        let reversed = criterion.batch_of_views(&reversed, rows, labels)?;
        let (mut first, outcome) = criterion.evaluate(&batch)?;
        let (mut second, of_second) = criterion.evaluate(&reversed)?;
        second.name.push_str(".reversed");
        first.weight /= 2.0;
        second.weight /= 2.0;
        let losses = losses.with_outcome((first, outcome));
        Ok(losses.with_outcome((second, of_second)))
    }

    fn represent(&self, view: &Tensor, train: bool) -> Result<Tensor> {
        self.model.embed(view, train)
    }

    fn represent_view(&self, index: usize, view: &Tensor, train: bool) -> Result<Tensor> {
        self.tower(index).embed(view, train)
    }

    fn embed_view(&self, index: usize, view: &Tensor) -> Result<Tensor> {
        self.tower(index).embed(view, false)
    }

    fn modules(&self) -> Vec<&NamedModule> {
        let second = self.second.iter().flat_map(Model::modules);
        self.model.modules().into_iter().chain(second).collect()
    }

    fn criteria(&self) -> Vec<&Criterion> {
        vec![&self.criterion]
    }

    fn parameter_groups_mut(&mut self) -> Vec<&mut ParameterGroup> {
        let mut groups = self.model.parameter_groups_mut();
        groups.extend(self.second.iter_mut().flat_map(Model::parameter_groups_mut));
        groups.push(self.criterion.parameter_group_mut());
        groups
    }
}
