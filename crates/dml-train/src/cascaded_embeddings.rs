//! Slices of the embedding, each with a loss of its own on ever harder tuples.
//!
//! ```text
//! z = [z₁ … z_K],   tuples_k = miner_k(z_k, among tuples_{k−1})
//! L = Σ_k w_k · loss_k(z_k, tuples_k) + v_k · cross-entropy(classifier_k(z_k))
//! ```
//!
//! Yuan, Yang, Zhang 2017, "Hard-Aware Deeply Cascaded Embedding" (arXiv 1611.05720).

use candle_core::Tensor;
use dml_core::{Batch, Examples, Result, Tuples, check};

use crate::model::{Model, with_embedder};
use crate::{Classifier, Criterion, Losses, Method, NamedModule, ParameterGroup};

/// One slice of a [`CascadedEmbeddings`].
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `module(name, inputs, outputs)` is a linear layer with an optimiser, `objective()` a triplet loss.
/// use dml_train::{Classifier, Criterion, Stage};
///
/// let stage = Stage::new(8)
///     .with_criterion(Criterion::new("triplets", objective()?))
///     .with_classifier(Classifier::new(module("classifier", 8, 10)?));
/// # let _ = stage;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Stage {
    size: usize,
    criterion: Option<Criterion>,
    classifier: Option<Classifier>,
}

impl Stage {
    /// A slice of the next `size` coordinates of the embedding, without a loss yet.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self {
            size,
            criterion: None,
            classifier: None,
        }
    }

    dml_core::setters! {
        /// Minimises an objective on the slice. Its miner chooses among the tuples of the stage before, if it can.
        pub fn with_criterion(self, criterion: Criterion) { self.criterion = Some(criterion) }

        /// Classifies the slice.
        pub fn with_classifier(self, classifier: Classifier) { self.classifier = Some(classifier) }
    }
}

/// Trains slices of the embedding one by one ([formula](self)); PML's `CascadedEmbeddings`.
///
/// The losses of classifiers are called `classifier_loss_0`, …; those of objectives as their criteria, which need
/// different names. Numbers of the embedding beyond the last slice are in no loss.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `module(name, inputs, outputs)` is a linear layer with an optimiser, `objective()` a triplet loss.
/// use dml_train::{CascadedEmbeddings, Criterion, Stage, Trainer};
///
/// let stages = [
///     Stage::new(8).with_criterion(Criterion::new("first", objective()?)),
///     Stage::new(8).with_criterion(Criterion::new("second", objective()?)),
/// ];
/// let method = CascadedEmbeddings::new(module("trunk", 784, 16)?, stages);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?).build()?;
/// trainer.run(1)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CascadedEmbeddings {
    model: Model,
    stages: Vec<Stage>,
}

impl CascadedEmbeddings {
    /// A trunk whose outputs are the embeddings, unless there is an embedder.
    pub fn new(trunk: NamedModule, stages: impl Into<Vec<Stage>>) -> Self {
        Self {
            model: Model::new(trunk),
            stages: stages.into(),
        }
    }

    with_embedder!();
}

impl Method for CascadedEmbeddings {
    fn represent(&self, view: &Tensor, train: bool) -> Result<Tensor> {
        self.model.embed(view, train)
    }

    fn losses(&self, embeddings: &[Tensor], examples: &Examples, _: u64) -> Result<Losses> {
        let (embeddings, labels) = (&embeddings[0], examples.labels());
        let width = embeddings.dims().get(1).copied().unwrap_or(0);
        let expected = "[rows, dim] with room for all slices";
        let fits = self.stages.iter().map(|stage| stage.size).sum::<usize>() <= width;
        check::shape(fits, "embeddings", embeddings, expected)?;
        let mut losses = Losses::of(embeddings);
        let mut before: Option<Tuples> = None;
        let mut start = 0;
        for (k, stage) in self.stages.iter().enumerate() {
            let slice = embeddings.narrow(1, start, stage.size)?.contiguous()?;
            start += stage.size;
            let batch = match &stage.criterion {
                Some(criterion) => criterion.batch(&slice, examples.rows(), labels)?,
                None => Batch::new(&slice, labels)?,
            };
            let mut mined = None;
            if let Some(criterion) = &stage.criterion {
                let miner = criterion.objective().miner();
                mined = match (miner, &before) {
                    (None, _) => None,
                    (Some(miner), None) => Some(miner.mine(&batch.detach())?),
                    (Some(miner), Some(before)) => Some(miner.mine_among(&batch.detach(), before)?),
                };
                let tuples = mined.clone().unwrap_or_default();
                let (value, mut outcome) = criterion.evaluate_tuples(&batch, &tuples)?;
                outcome.mined = mined.as_ref().map(|own| own.count(&batch)).transpose()?;
                losses = losses.with_outcome((value, outcome));
            }
            before = mined;
            if let Some(classifier) = &stage.classifier {
                let name = format!("classifier_loss_{k}");
                losses = losses.with(classifier.loss(name, &slice, labels)?);
            }
        }
        Ok(losses)
    }

    fn modules(&self) -> Vec<&NamedModule> {
        let classifiers = self
            .stages
            .iter()
            .filter_map(|stage| stage.classifier.as_ref());
        let mut modules = self.model.modules();
        modules.extend(classifiers.map(|classifier| &classifier.module));
        modules
    }

    fn criteria(&self) -> Vec<&Criterion> {
        let stages = self.stages.iter();
        stages
            .filter_map(|stage| stage.criterion.as_ref())
            .collect()
    }

    fn parameter_groups_mut(&mut self) -> Vec<&mut ParameterGroup> {
        let mut groups = self.model.parameter_groups_mut();
        let mut criteria = Vec::new();
        for stage in &mut self.stages {
            let classifier = stage.classifier.as_mut();
            groups.extend(classifier.map(|own| own.module.parameter_group_mut()));
            criteria.extend(stage.criterion.as_mut().map(Criterion::parameter_group_mut));
        }
        groups.extend(criteria);
        groups
    }
}
