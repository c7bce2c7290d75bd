//! The network in training by `dml::train`: [`MetricLossOnly`] under Adam.

use std::sync::Arc;

use dml::candle_core::{Device, Var};
use dml::nn::{Adam, AdamConfig};
use dml::train::{Criterion, MetricLossOnly, NamedModule, Trainer, TrainerBuilder};
use dml::{Objective, Sampler};

use super::data_source::Digits;
use super::network::Network;

/// What is trained, on what, and how fast.
pub(crate) struct Training<'a> {
    pub(crate) network: &'a Network,
    pub(crate) digits: &'a Digits,
    pub(crate) objective: Objective,
    pub(crate) sampler: Arc<dyn Sampler>,
    pub(crate) learning_rate: f64,
    /// How many rows of a batch have activations at a time; all of them unless it is said.
    pub(crate) gradient_cache: Option<usize>,
    pub(crate) device: &'a Device,
}

impl Training<'_> {
    /// The run, to which hooks may be added. It moves the variables of the network itself.
    pub(crate) fn builder(self) -> dml::Result<TrainerBuilder<MetricLossOnly>> {
        let config = AdamConfig {
            lr: self.learning_rate,
            ..AdamConfig::default()
        };
        let adam = |parameters: Vec<(String, Var)>| Adam::new(parameters, config.clone());
        let trunk = NamedModule::new("network", self.network.clone(), self.network.parameters())
            .with_seeds(self.network.seeds())
            .with_optimizer(adam)?;
        let criterion = Criterion::from(self.objective).with_optimizer(adam)?;
        let method = MetricLossOnly::new(trunk, criterion);
        let images = self.digits.sets.train.clone();
        let images = images.normalized(self.digits.normalization);
        let builder = Trainer::builder(method, images, self.sampler)
            .with_device(self.device.clone())
            // Reading a batch of small images is quick beside a step. A thread that does it ahead would take a core from
            // the kernels, and memory for the batches that wait.
            .with_loading_threads(0);
        Ok(match self.gradient_cache {
            None => builder,
            Some(rows) => builder.with_gradient_cache(rows),
        })
    }
}
