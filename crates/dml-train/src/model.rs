//! Trunk and embedder, which most methods begin with.

use candle_core::Tensor;
use dml_core::Result;

use crate::{NamedModule, ParameterGroup};

/// A trunk, and an embedder on its outputs if there is one.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) trunk: NamedModule,
    pub(crate) embedder: Option<NamedModule>,
}

impl Model {
    pub(crate) fn new(trunk: NamedModule) -> Self {
        let embedder = None;
        Self { trunk, embedder }
    }

    /// Embeddings of rows.
    pub(crate) fn embed(&self, view: &Tensor, train: bool) -> Result<Tensor> {
        self.embed_outputs(&self.trunk.forward(view, train)?, train)
    }

    /// Embeddings of what the trunk gave.
    pub(crate) fn embed_outputs(&self, outputs: &Tensor, train: bool) -> Result<Tensor> {
        match &self.embedder {
            None => Ok(outputs.clone()),
            Some(embedder) => embedder.forward_through(outputs, train),
        }
    }

    pub(crate) fn modules(&self) -> Vec<&NamedModule> {
        [&self.trunk].into_iter().chain(&self.embedder).collect()
    }

    pub(crate) fn parameter_groups_mut(&mut self) -> Vec<&mut ParameterGroup> {
        let modules = [&mut self.trunk].into_iter().chain(&mut self.embedder);
        modules.map(NamedModule::parameter_group_mut).collect()
    }
}

/// Writes the builder method of methods that have a [`Model`] called `model`.
macro_rules! with_embedder {
    () => {
        dml_core::setters! {
            /// Embeds the outputs of the trunk.
            pub fn with_embedder(self, embedder: crate::NamedModule) { self.model.embedder = Some(embedder) }
        }
    };
}
pub(crate) use with_embedder;

/// What a method of one `model` and one `criterion` is made of.
macro_rules! of_model_and_criterion {
    () => {
        fn represent(&self, view: &Tensor, train: bool) -> Result<Tensor> {
            self.model.embed(view, train)
        }

        fn modules(&self) -> Vec<&crate::NamedModule> {
            self.model.modules()
        }

        fn criteria(&self) -> Vec<&crate::Criterion> {
            vec![&self.criterion]
        }

        fn parameter_groups_mut(&mut self) -> Vec<&mut crate::ParameterGroup> {
            let mut groups = self.model.parameter_groups_mut();
            groups.push(self.criterion.parameter_group_mut());
            groups
        }
    };
}
pub(crate) use of_model_and_criterion;
