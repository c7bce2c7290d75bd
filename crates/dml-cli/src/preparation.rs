//! From settings to a training that is ready to begin.

use dml::candle_core::{DType, Device};
use dml::config::ConfigError;
use dml::core::rand::SeedableRng;
use dml::core::rand_chacha::ChaCha8Rng;
use dml::data::Subset;
use dml::models::Backbone;
use dml::nn::{Linear, LinearConfig};
use dml::train::{
    Classifier, MetricLossOnly, NamedModule, ParameterRules, TrainWithClassifier, Trainer,
    TwoStreamMetricLoss, UnsupervisedEmbeddingsUsingAugmentations,
};
use dml::{Dataset, Labels, Relation};

use crate::data::{ImageData, RunData, TextData, VectorData};
use crate::network::{ImageNetwork, Network, TextNetwork, VectorNetwork, with_rules};
use crate::settings::{DataKind, MethodName, Problem, Settings, Sizes};
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
    match settings.data.kind {
        DataKind::Images => of_images(settings, surroundings),
        DataKind::Texts => of_texts(settings, surroundings),
        DataKind::Vectors => of_vectors(settings, surroundings),
    }
}

fn of_images(settings: &mut Settings, surroundings: &Surroundings) -> anyhow::Result<Prepared> {
    let network = ImageNetwork::build(settings, &surroundings.device)?;
    let data = ImageData::open(settings, &network.preparation)?;
    fill(settings, &data.run, network.encoder.embedding_dim())?;
    data.run.tell("images");
    let modules = Modules {
        trunk: network.trunk(settings)?,
        head: network.head(settings)?,
        embedding: network.encoder.embedding_dim(),
    };
    let labels = data.dense_labels()?;
    let (files, preparation) = (data.train.clone(), &network.preparation);
    let images = match settings.method() {
        MethodName::UnsupervisedEmbeddingsUsingAugmentations => preparation.two_views(files)?,
        _ => preparation.training(files)?,
    };
    let all = (0..images.len()).collect();
    let rows = Rows {
        dataset: Subset::new(images, all)?.with_dense_labels()?,
        labels,
        label_sets: data.label_sets,
    };
    prepared(settings, surroundings, network, data.run, modules, rows)
}

fn of_texts(settings: &mut Settings, surroundings: &Surroundings) -> anyhow::Result<Prepared> {
    let network = TextNetwork::build(settings, &surroundings.device)?;
    let data = TextData::open(settings, &network)?;
    fill(settings, &data.run, network.encoder.embedding_dim())?;
    data.run.tell("texts");
    let modules = Modules {
        trunk: network.trunk(settings)?,
        head: None,
        embedding: network.encoder.embedding_dim(),
    };
    let rows = Rows {
        labels: data.labels().clone(),
        dataset: data.train,
        label_sets: data.label_sets,
    };
    prepared(settings, surroundings, network, data.run, modules, rows)
}

fn of_vectors(settings: &mut Settings, surroundings: &Surroundings) -> anyhow::Result<Prepared> {
    let data = VectorData::open(settings)?;
    let network = VectorNetwork::build(settings, &data.rows, &surroundings.device)?;
    fill(settings, &data.run, network.encoder.embedding_dim())?;
    data.run.tell("vectors");
    let modules = Modules {
        trunk: network.trunk(settings)?,
        head: None,
        embedding: network.encoder.embedding_dim(),
    };
    let rows = Rows {
        labels: data.train.labels().clone(),
        dataset: data.train,
        label_sets: None,
    };
    prepared(settings, surroundings, network, data.run, modules, rows)
}

/// The training of a network, with both.
fn prepared<D: Dataset + 'static>(
    settings: &Settings,
    surroundings: &Surroundings,
    network: impl Network + 'static,
    data: RunData,
    modules: Modules,
    rows: Rows<D>,
) -> anyhow::Result<Prepared> {
    let training = training(settings, surroundings, &network, &data, modules, rows)?;
    Ok(Prepared {
        network: Box::new(network),
        data,
        training,
    })
}

/// Fills in what follows from the data and the network.
fn fill(settings: &mut Settings, data: &RunData, embedding: usize) -> Result<(), Problem> {
    settings.fill(Sizes {
        // Pairs and views are as many classes as rows.
        classes: match data.classes.len() {
            0 => data.rows,
            classes => classes,
        },
        rows: data.rows,
        embedding,
    })
}

/// The modules that learn.
struct Modules {
    trunk: NamedModule,
    head: Option<NamedModule>,
    /// Length of an embedding.
    embedding: usize,
}

/// Rows to learn from.
struct Rows<D> {
    dataset: D,
    labels: Labels,
    label_sets: Option<Vec<Vec<i64>>>,
}

/// The training by the method of the settings.
fn training<D: Dataset + 'static>(
    settings: &Settings,
    surroundings: &Surroundings,
    network: &dyn Network,
    data: &RunData,
    modules: Modules,
    rows: Rows<D>,
) -> anyhow::Result<Box<dyn TrainingRun>> {
    let plan = Plan::new(settings, &rows.labels)?;
    let of_schedule = |error| of_schedule(settings, &error);
    let of_module = |module| {
        let scheduled = settings.schedule.module(module, plan.length);
        scheduled.map_err(of_schedule)
    };
    let trunk = of_module(modules.trunk)?;
    let head = modules.head.map(of_module).transpose()?;
    let mut criterion = criterion(settings, &surroundings.device)?;
    if let Some(sets) = rows.label_sets {
        criterion = criterion.with_relation(move |rows, _| {
            let own: Vec<Vec<i64>> = rows.iter().map(|&row| sets[row].clone()).collect();
            Ok(Relation::label_sets(&own, None))
        });
    }
    let criterion = settings.schedule.criterion(criterion, plan.length);
    let criterion = criterion.map_err(of_schedule)?;
    // A trainer of a method with its head, in its surroundings.
    macro_rules! trainer {
        ($method:expr) => {{
            let mut method = $method;
            if let Some(head) = head {
                method = method.with_embedder(head);
            }
            let builder = Trainer::builder(method, rows.dataset, plan.sampler.clone());
            surroundings.training(settings, builder, &plan, network, data)
        }};
    }
    match settings.method() {
        MethodName::MetricLossOnly => trainer!(MetricLossOnly::new(trunk, criterion)),
        MethodName::TwoStreamMetricLoss => trainer!(TwoStreamMetricLoss::new(trunk, criterion)),
        MethodName::UnsupervisedEmbeddingsUsingAugmentations => {
            trainer!(UnsupervisedEmbeddingsUsingAugmentations::new(
                trunk, criterion
            ))
        }
        MethodName::TrainWithClassifier => {
            let sizes = [modules.embedding, data.classes.len()];
            let classifier = classifier(settings, sizes, &surroundings.device)?;
            let classifier = Classifier::new(of_module(classifier)?);
            trainer!(TrainWithClassifier::new(trunk, classifier, criterion))
        }
    }
}

/// A linear classifier of embeddings of this length into so many classes.
fn classifier(
    settings: &Settings,
    [embedding, classes]: [usize; 2],
    device: &Device,
) -> anyhow::Result<NamedModule> {
    // Other weights than those of the network, which has the seed itself.
    let rng = &mut ChaCha8Rng::seed_from_u64(settings.train.seed.wrapping_add(1));
    let linear = Linear::new(
        LinearConfig::new(embedding, classes),
        rng,
        DType::F32,
        device,
    )?;
    let module = NamedModule::of("classifier", linear);
    Ok(with_rules(
        module,
        &settings.optimizer,
        &ParameterRules::default(),
    )?)
}

fn of_schedule(settings: &Settings, error: &ConfigError) -> Problem {
    settings.refused("schedule", error)
}
