//! What a run is made of: batches from the loader, and steps of the trainer, in one pass and by a gradient cache.

#![allow(clippy::unwrap_used)] // A bench that meets an error has failed.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dml_core::candle_core::{DType, Device};
use dml_core::{Dataset, Objective};
use dml_data::augment::{Affine, AffineConfig};
use dml_data::synthetic::{Split, SyntheticDigits, SyntheticDigitsConfig};
use dml_data::{AugmentedImages, ImageDataset, Normalization};
use dml_distances::CosineSimilarity;
use dml_losses::{NTXentLoss, NTXentLossConfig};
use dml_nn::{
    Adam, AdamConfig, Conv2d, Conv2dConfig, Flatten, Layer, Linear, LinearConfig, MaxPool2d,
    MaxPool2dConfig, Relu, Sequential,
};
use dml_reducers::MeanReducer;
use dml_samplers::{ShuffleSampler, ShuffleSamplerConfig};
use dml_train::{Loader, MetricLossOnly, NamedModule, Position, Trainer, TrainerBuilder};
use rand::SeedableRng;

const DIGITS: usize = 1_024;
const BATCH: usize = 128;

fn digits() -> ImageDataset {
    let digits = SyntheticDigits::new(SyntheticDigitsConfig::default()).unwrap();
    digits.dataset(Split::Train, DIGITS).unwrap()
}

fn sampler() -> ShuffleSampler {
    let config = ShuffleSamplerConfig {
        batch_size: BATCH,
        ..ShuffleSamplerConfig::default()
    };
    ShuffleSampler::new(config, DIGITS).unwrap()
}

/// Batches of two augmented views by any number of threads.
fn loading(c: &mut Criterion) {
    let affine = AffineConfig {
        degrees: 15.0,
        translate: [0.1, 0.1],
        ..AffineConfig::default()
    };
    let views = AugmentedImages::two_views(digits(), Affine::new(affine).unwrap()).unwrap();
    let views: Arc<dyn Dataset> = Arc::new(views);
    let mut group = c.benchmark_group("loader");
    group.throughput(Throughput::Elements(BATCH as u64));
    for threads in [0, 1, 2] {
        let sampler = Arc::new(sampler());
        let mut loader = Loader::new(views.clone(), sampler, 0, Position::START, threads);
        group.bench_function(BenchmarkId::new("threads", threads), |b| {
            b.iter(|| black_box(loader.next_batch().unwrap()));
        });
    }
    group.finish();
}

/// A trainer whose epochs are single steps.
fn trainer() -> TrainerBuilder<MetricLossOnly> {
    let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
    let (dtype, device) = (DType::F32, &Device::Cpu);
    let convolution = Conv2d::new(Conv2dConfig::new(1, 16, [3, 3]), rng, dtype, device);
    let linear = LinearConfig::new(16 * 13 * 13, 64);
    let network = Sequential::default()
        .with("conv1", convolution.unwrap())
        .with("relu1", Relu)
        .with(
            "pool1",
            MaxPool2d::new(MaxPool2dConfig::new([2, 2])).unwrap(),
        )
        .with("flatten", Flatten)
        .with("fc1", Linear::new(linear, rng, dtype, device).unwrap());
    let parameters = network.parameters();
    let trunk = NamedModule::new("trunk", network, parameters)
        .with_optimizer(|parameters| Adam::new(parameters, AdamConfig::default()))
        .unwrap();
    let distance = CosineSimilarity::default();
    let loss = NTXentLoss::new(NTXentLossConfig::default(), distance).unwrap();
    let objective = Objective::new(loss, MeanReducer);
    let digits = digits().normalized(Normalization::MNIST);
    Trainer::builder(MetricLossOnly::new(trunk, objective), digits, sampler())
        .with_iterations_per_epoch(1)
        .with_loading_threads(0)
}

/// One step: load, embed, lose, differentiate, move.
fn step(c: &mut Criterion) {
    let mut group = c.benchmark_group("step");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, rows) in [("one_pass", None), ("gradient_cache_32", Some(32))] {
        let builder = match rows {
            None => trainer(),
            Some(rows) => trainer().with_gradient_cache(rows),
        };
        let mut trainer = builder.build().unwrap();
        group.bench_function(name, |b| {
            b.iter(|| {
                let epochs = trainer.epochs() + 1;
                black_box(trainer.run(epochs).unwrap())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, loading, step);
criterion_main!(benches);
