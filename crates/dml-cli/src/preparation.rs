//! From settings to a training that is ready to begin.

use dml::Dataset;
use dml::config::ConfigError;
use dml::data::Subset;
use dml::train::{MetricLossOnly, Trainer};

use crate::data::{ImageData, RunData};
use crate::network::{ImageNetwork, Network};
use crate::settings::{Problem, Settings, Sizes};
use crate::training::{Plan, Surroundings, TrainingRun, criterion};

/// A network with its data and its training.
#[derive(Debug)]
pub struct Prepared {
    /// The network.
    pub network: Box<dyn Network>,
    /// What is learnt from and judged by.
    pub data: RunData,
    /// The training.
    pub training: Box<dyn TrainingRun>,
}

/// The network and data of the settings, which are filled in, and the training in its surroundings.
///
/// # Errors
/// Data and weights that can't be read, components that refuse their arguments or the data.
pub fn prepare(settings: &mut Settings, surroundings: &Surroundings) -> anyhow::Result<Prepared> {
    let network = ImageNetwork::build(settings, &surroundings.device)?;
    let data = ImageData::open(settings, &network.preparation)?;
    settings.fill(Sizes {
        classes: data.run.classes.len(),
        rows: data.run.rows,
        embedding: network.encoder.embedding_dim(),
    })?;
    data.run.tell("images");
    let training = of_images(settings, surroundings, &network, &data)?;
    Ok(Prepared {
        network: Box::new(network),
        data: data.run,
        training,
    })
}

/// The training of an image network on labelled images.
fn of_images(
    settings: &Settings,
    surroundings: &Surroundings,
    network: &ImageNetwork,
    data: &ImageData,
) -> anyhow::Result<Box<dyn TrainingRun>> {
    let labels = data.dense_labels()?;
    let images = network.preparation.training(data.train.clone())?;
    let rows = (0..images.len()).collect();
    let images = Subset::new(images, rows)?.with_dense_labels()?;
    let plan = Plan::new(settings, &labels)?;
    let of_schedule = |error| of_schedule(settings, &error);
    let of_module = |module| settings.schedule.module(module, plan.length);
    let trunk = of_module(network.trunk(settings)?).map_err(of_schedule)?;
    let criterion = criterion(settings, &surroundings.device)?;
    let criterion = settings.schedule.criterion(criterion, plan.length);
    let mut method = MetricLossOnly::new(trunk, criterion.map_err(of_schedule)?);
    if let Some(head) = network.head(settings)? {
        method = method.with_embedder(of_module(head).map_err(of_schedule)?);
    }
    let builder = Trainer::builder(method, images, plan.sampler.clone());
    surroundings.training(settings, builder, &plan, network, &data.run)
}

fn of_schedule(settings: &Settings, error: &ConfigError) -> Problem {
    settings.refused("schedule", error)
}
