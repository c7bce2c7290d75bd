//! A small task to train on: noisy points around one centre per class.

use candle_core::{DType, Device, Tensor};
use dml_core::{Dataset, Examples, IntoLabels, Labels, Objective, Result, SeedSequence};
use dml_distances::LpDistance;
use dml_losses::{TripletMarginLoss, TripletMarginLossConfig, TripletsPerAnchor};
use dml_nn::{
    Adam, AdamConfig, BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig,
    Relu, Sequential,
};
use dml_reducers::AvgNonZeroReducer;
use dml_samplers::{MPerClassSampler, MPerClassSamplerConfig};
use dml_train::NamedModule;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Numbers of a point.
pub(crate) const WIDTH: usize = 6;
/// Classes.
pub(crate) const CLASSES: usize = 8;

/// Points with noise that depends on row and seed; as many views as asked for.
#[derive(Debug)]
pub(crate) struct Blobs {
    labels: Labels,
    views: usize,
}

impl Blobs {
    /// `rows` points.
    pub(crate) fn new(rows: usize, views: usize) -> Self {
        let labels: Vec<i64> = (0..rows).map(|row| (row % CLASSES) as i64).collect();
        Self {
            labels: labels.into_labels().unwrap(),
            views,
        }
    }

    fn point(&self, row: usize, seed: u64) -> Vec<f32> {
        let class = self.labels.as_slice()[row] as u64;
        let mut centre = ChaCha8Rng::seed_from_u64(class);
        let mut noise = ChaCha8Rng::seed_from_u64(seed ^ (row as u64) << 20);
        let mut number = || centre.random_range(-1f32..1.0) + noise.random_range(-0.7f32..0.7);
        (0..WIDTH).map(|_| number()).collect()
    }
}

impl Dataset for Blobs {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn fetch(&self, rows: &[usize], seed: u64) -> Result<Examples> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut view = || {
            let seed = rng.next_u64();
            let points: Vec<f32> = rows.iter().flat_map(|row| self.point(*row, seed)).collect();
            Tensor::from_vec(points, (rows.len(), WIDTH), &Device::Cpu)
        };
        let views = (0..self.views)
            .map(|_| view())
            .collect::<std::result::Result<_, _>>()?;
        Examples::with_views(views, rows, &self.labels)
    }
}

/// Three rows of each of four classes a batch, eight batches a pass.
pub(crate) fn sampler(blobs: &Blobs) -> MPerClassSampler {
    let config = MPerClassSamplerConfig {
        batch_size: Some(12),
        length_before_new_iter: 96,
        ..MPerClassSamplerConfig::new(3)
    };
    MPerClassSampler::new(config, blobs.labels()).unwrap()
}

/// Two layers with dropout between them.
pub(crate) fn network(seed: u64, inputs: usize, outputs: usize, dropout: f64) -> Sequential {
    network_in(DType::F32, seed, inputs, outputs, dropout)
}

/// The same in an element type.
pub(crate) fn network_in(
    dtype: DType,
    seed: u64,
    inputs: usize,
    outputs: usize,
    dropout: f64,
) -> Sequential {
    layers(dtype, seed, [inputs, 16, outputs], None, dropout)
}

/// Two layers with batch normalisation and dropout between them.
pub(crate) fn normalized_network(seed: u64, dropout: f64) -> Sequential {
    let norm = BatchNormConfig::new(16);
    layers(DType::F32, seed, [WIDTH, 16, 4], Some(norm), dropout)
}

fn layers(
    dtype: DType,
    seed: u64,
    [inputs, hidden, outputs]: [usize; 3],
    norm: Option<BatchNormConfig>,
    dropout: f64,
) -> Sequential {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let device = &Device::Cpu;
    let seeds = SeedSequence::new(rng.next_u64());
    let mut linear = |inputs, outputs| {
        Linear::new(LinearConfig::new(inputs, outputs), rng, dtype, device).unwrap()
    };
    let mut network = Sequential::default().with("fc1", linear(inputs, hidden));
    if let Some(norm) = norm {
        network = network.with("norm", BatchNorm::new(norm, dtype, device).unwrap());
    }
    let dropout = Dropout::new(DropoutConfig { p: dropout }, seeds).unwrap();
    network
        .with("relu", Relu)
        .with("dropout", dropout)
        .with("fc2", linear(hidden, outputs))
}

/// Adam at 0.02.
pub(crate) fn adam(parameters: Vec<(String, candle_core::Var)>) -> Result<Adam> {
    let config = AdamConfig {
        lr: 0.02,
        ..AdamConfig::default()
    };
    Adam::new(parameters, config)
}

/// A network as a module without optimiser.
pub(crate) fn named_module(name: &str, network: Sequential) -> NamedModule {
    NamedModule::of(name, network)
}

/// The network as a trunk under Adam.
pub(crate) fn trunk(seed: u64, dropout: f64) -> NamedModule {
    named_module("trunk", network(seed, WIDTH, 4, dropout))
        .with_optimizer(adam)
        .unwrap()
}

/// All triplets of a batch by Euclidean distance, without normalisation.
pub(crate) fn triplets() -> Objective {
    let distance = LpDistance::unnormalized();
    let loss = TripletMarginLoss::new(TripletMarginLossConfig::default(), distance).unwrap();
    Objective::new(loss, AvgNonZeroReducer::default())
}

/// Random triplets of a batch, under seed 11.
pub(crate) fn random_triplets() -> Objective {
    let config = TripletMarginLossConfig {
        triplets_per_anchor: TripletsPerAnchor::Random(4),
        seed: 11,
        ..Default::default()
    };
    let loss = TripletMarginLoss::new(config, LpDistance::unnormalized()).unwrap();
    Objective::new(loss, AvgNonZeroReducer::default())
}

/// All weights of a trainer, by name.
pub(crate) fn weights<M: dml_train::Method>(
    trainer: &dml_train::Trainer<M>,
) -> Vec<(String, Vec<f32>)> {
    let mut weights = Vec::new();
    for module in trainer.method().modules() {
        for (name, var) in module.parameter_group().parameters() {
            let values = var.flatten_all().unwrap().to_dtype(DType::F32).unwrap();
            let values = values.to_vec1::<f32>().unwrap();
            weights.push((format!("{}/{name}", module.name()), values));
        }
    }
    weights
}
