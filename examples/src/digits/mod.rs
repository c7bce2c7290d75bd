//! What the examples on handwritten digits share: the digits, the network, and how it is trained and judged.

pub mod self_supervised;
pub mod two_losses;

use std::path::PathBuf;

use anyhow::{Context, ensure};
use dml::Dataset;
use dml::candle_core::Var;
use dml::data::synthetic::{SyntheticDigits, SyntheticDigitsConfig};
use dml::data::{ImageDataset, MnistVariant, Normalization, NormalizedImages};
use dml::eval::AccuracyMetric;
use dml::nn::Adam;
use dml::samplers::{ShuffleSampler, ShuffleSamplerConfig};
use dml::train::{Method, NamedModule, Trainer};
use dml_program::number::{self, within};

use crate::{evaluation, network};

/// Height and width of a digit.
const SIZE: usize = 28;
/// Numbers of an embedding.
const EMBEDDING: usize = 64;

/// What to learn from, and how long.
#[derive(Clone, Debug, PartialEq, clap::Args)]
pub struct Args {
    /// A folder with the four files of MNIST; without it the digits are drawn by a program.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Digits to learn from, at least two batches; a sixth as many to test with.
    #[arg(long, default_value_t = 60_000, value_parser = within(4usize, 1_000_000))]
    pub images: usize,
    /// Passes over them.
    #[arg(long, default_value_t = 1, value_parser = within(0u64, 1_000_000))]
    pub epochs: u64,
    /// Digits of a batch, at least 2.
    #[arg(long, default_value_t = 128, value_parser = within(2usize, 1_000_000))]
    pub batch: usize,
    /// Learning rate of Adam.
    #[arg(long, default_value_t = 0.001, value_parser = number::rate)]
    pub lr: f64,
    /// Seed of weights, order and augmentations.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// Digits to learn from and digits to test with.
struct Digits {
    train: ImageDataset,
    test: NormalizedImages,
}

impl Args {
    fn digits(&self) -> anyhow::Result<Digits> {
        let (batch, images) = (self.batch, self.images);
        ensure!(batch >= 2, "--batch: expected at least 2, got {batch}");
        ensure!(
            images >= batch.saturating_mul(2),
            "--images: expected at least two batches of {batch}, got {images}"
        );
        let judged = self.images.div_ceil(6);
        let sets = match &self.data_dir {
            Some(folder) => MnistVariant::Mnist
                .load(folder)
                .with_context(|| format!("reading MNIST from {}", folder.display()))?,
            None => SyntheticDigits::new(SyntheticDigitsConfig::default())?
                .train_test(self.images, judged)?,
        };
        let first = |set: &ImageDataset, count: usize| {
            set.subset(&(0..count.min(set.len())).collect::<Vec<_>>())
        };
        Ok(Digits {
            train: first(&sets.train, self.images)?,
            test: first(&sets.test, judged)?.normalized(Normalization::UNIT),
        })
    }

    /// The network as a part that learns.
    fn trunk(&self) -> anyhow::Result<NamedModule> {
        let network = network::build(1, SIZE, EMBEDDING, self.seed)?;
        Ok(NamedModule::of("trunk", network).with_optimizer(|p| self.adam(p))?)
    }

    fn adam(&self, parameters: Vec<(String, Var)>) -> dml::Result<Adam> {
        Adam::new(parameters, self.lr.into())
    }

    /// Trains, and gives Precision@1 of the network before and after.
    fn learn<M: Method>(
        &self,
        method: M,
        data: impl Dataset + 'static,
        test: &dyn Dataset,
    ) -> anyhow::Result<Precision> {
        let config = ShuffleSamplerConfig {
            batch_size: self.batch,
            seed: self.seed,
            ..ShuffleSamplerConfig::default()
        };
        let sampler = ShuffleSampler::new(config, data.len())?;
        let mut trainer = Trainer::builder(method, data, sampler)
            .with_seed(self.seed)
            .build()?;
        let precision = |trainer: &Trainer<M>| -> anyhow::Result<f64> {
            let metrics = [AccuracyMetric::PrecisionAt1];
            let embeddings = evaluation::embed(trainer, test, self.batch)?;
            let values = evaluation::evaluate(&embeddings, test.labels(), &metrics)?;
            values
                .into_values()
                .next()
                .context("Precision@1 of the test digits")
        };
        let untrained = precision(&trainer)?;
        trainer.run(self.epochs)?;
        let trained = precision(&trainer)?;
        Ok(Precision { untrained, trained })
    }
}

/// Precision@1 of the test digits among themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precision {
    /// With weights as they were drawn.
    pub untrained: f64,
    /// With weights as they were learnt.
    pub trained: f64,
}
