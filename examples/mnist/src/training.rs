//! The network in training by `dml::train`: [`MetricLossOnly`] under Adam.

use std::sync::Arc;

use dml::candle_core::{Device, Var};
use dml::nn::Adam;
use dml::train::{Criterion, MetricLossOnly, NamedModule, Trainer, TrainerBuilder};
use dml::{Objective, Sampler};

use crate::data_source::Digits;
use crate::network::Network;

/// What is trained, on what, and how fast.
#[derive(Debug)]
pub struct Training<'a> {
    /// The network, whose variables the training moves.
    pub network: &'a Network,
    /// The data.
    pub digits: &'a Digits,
    /// Miner, loss and reducer.
    pub objective: Objective,
    /// The batches.
    pub sampler: Arc<dyn Sampler>,
    /// Learning rate of Adam.
    pub learning_rate: f64,
    /// Number of rows of a batch that have activations at a time; `None` is all of them.
    pub gradient_cache: Option<usize>,
    /// Device of the network.
    pub device: &'a Device,
}

impl Training<'_> {
    /// The run, to which hooks may be added. It moves the variables of the network itself.
    ///
    /// # Errors
    /// If the learning rate is out of range.
    pub fn builder(self) -> dml::Result<TrainerBuilder<MetricLossOnly>> {
        let rate = self.learning_rate;
        let adam = |parameters: Vec<(String, Var)>| Adam::new(parameters, rate.into());
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
