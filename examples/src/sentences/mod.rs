//! A sentence encoder fine-tuned on pairs of sentences that belong together.
//!
//! ```text
//! z = embedding of a sentence: mean of BERT's last layer over its tokens, or what the encoder's folder says
//! L = −(1/N) Σᵢ ln( e^{cos(aᵢ, pᵢ)/t} / Σⱼ e^{cos(aᵢ, pⱼ)/t} )          t = 0.05
//! ```
//!
//! Each anchor has its own positive, and those of all other pairs of the batch are its negatives: the multiple-negatives
//! ranking loss of Henderson et al. 2017, "Efficient Natural Language Response Suggestion for Smart Reply" (arXiv
//! 1705.00652), which is `NTXentLoss` between two streams. The encoder is a folder as sentence-transformers or transformers
//! lays it out (`config.json`, `tokenizer.json`, `model.safetensors`); without one, a small random one learns an invented
//! language in seconds.

mod invented;
mod pairs;
mod rust_sources;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use dml::candle_core::{DType, Device, Tensor};
use dml::distances::CosineSimilarity;
use dml::eval::{FlatIndex, FlatMetric, KnnIndex};
use dml::losses::{NTXentLoss, NTXentLossConfig};
use dml::nn::{AdamW, Layer};
use dml::reducers::MeanReducer;
use dml::samplers::{ShuffleSampler, ShuffleSamplerConfig};
use dml::train::{Clip, NamedModule, Trainer, TwoStreamMetricLoss};
use dml::{Dataset, Objective};
use dml_models::text::{TextEncoder, TextTokenizer};
use dml_program::number::{self, within};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub use pairs::SentencePairs;

/// t of the loss: sentence-transformers' scale of 20.
const TEMPERATURE: f64 = 0.05;

/// What to learn from, and how long.
#[derive(Clone, Debug, PartialEq, clap::Args)]
pub struct Args {
    /// A folder with `config.json`, `tokenizer.json` and `model.safetensors` of a BERT, RoBERTa, DistilBERT or MPNet; without
    /// it, a small random BERT.
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Pairs of sentences, two a line with a tab between them, or a folder of Rust sources: the names of public functions
    /// and the first sentences of their documentation. Without it, those of an invented language.
    #[arg(long, value_name = "FILE or DIR")]
    pub pairs: Option<PathBuf>,
    /// Number of pairs at the end of the file to test with; at least 2.
    #[arg(long, default_value_t = 200, value_parser = within(2usize, 10_000_000))]
    pub test: usize,
    /// Passes over the others.
    #[arg(long, default_value_t = 10, value_parser = within(0u64, 1_000_000))]
    pub epochs: u64,
    /// Pairs of a batch, at least 2.
    #[arg(long, default_value_t = 32, value_parser = within(2usize, 1_000_000))]
    pub batch: usize,
    /// Learning rate; for an encoder that knows its language, 2e-5.
    #[arg(long, default_value_t = 0.002, value_parser = number::rate)]
    pub lr: f64,
    /// Tokens of a sentence at most.
    #[arg(long, default_value_t = 64, value_parser = within(3usize, 1_000_000))]
    pub tokens: usize,
    /// Seed of order and of what is random.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Where the fine-tuned weights go, under the names that they came with.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// How often an anchor of the test pairs finds its own positive first among all of theirs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// By the weights as they came.
    pub before: f64,
    /// By the weights as they were learnt.
    pub after: f64,
}

/// Learns, judges, prints to `out`.
///
/// # Errors
/// One sentence for arguments out of range, and for files that are missing, damaged or of another kind of model.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Accuracy> {
    let (batch, test, tokens) = (args.batch, args.test, args.tokens);
    for (flag, got, least) in [
        ("batch", batch, 2),
        ("test", test, 2),
        ("tokens", tokens, 3),
    ] {
        ensure!(
            got >= least,
            "--{flag}: expected at least {least}, got {got}"
        );
    }
    let sentences = match &args.pairs {
        Some(folder) if folder.is_dir() => rust_sources::pairs(folder, args.seed)?,
        Some(path) => pairs::read(path)?,
        None => invented::pairs(args.seed),
    };
    let (encoder, tokenizer) = match &args.model {
        Some(folder) => {
            let rng = &mut ChaCha8Rng::seed_from_u64(args.seed);
            let encoder = TextEncoder::read(folder, rng, DType::F32, &DEVICE)?;
            let tokenizer = TextTokenizer::read(folder, &encoder, args.tokens)?;
            (encoder, tokenizer)
        }
        None => invented::encoder(&sentences, args.tokens, args.seed)?,
    };
    let train_count = sentences.len().saturating_sub(args.test);
    ensure!(
        train_count >= args.batch,
        "expected more than {} pairs, {} to test with and a batch to learn from, got {}",
        args.test + args.batch - 1,
        args.test,
        sentences.len()
    );
    let (train, test) = sentences.split_at(train_count);
    let pad = encoder.network().pad_token_id();
    let data = |sentences: &[(String, String)]| SentencePairs::new(&tokenizer, sentences, pad);
    let (train, test) = (data(train)?, data(test)?);

    let weights = encoder.parameters();
    let trunk = NamedModule::of("encoder", encoder)
        .with_optimizer(|parameters| AdamW::new(parameters, args.lr.into()))?
        .with_clip(Clip::norm(1.0)?);
    let config = NTXentLossConfig {
        temperature: TEMPERATURE,
    };
    let loss = NTXentLoss::new(config, CosineSimilarity::default())?;
    let objective = Objective::new(loss, MeanReducer);
    let order = ShuffleSamplerConfig {
        batch_size: args.batch,
        seed: args.seed,
        ..ShuffleSamplerConfig::default()
    };
    let sampler = ShuffleSampler::new(order, train.len())?;
    let method = TwoStreamMetricLoss::new(trunk, objective);
    let mut trainer = Trainer::builder(method, train, sampler).build()?;

    let embed = |trainer: &Trainer<TwoStreamMetricLoss>, view: usize| -> anyhow::Result<Tensor> {
        let rows: Vec<usize> = (0..test.len()).collect();
        let blocks = rows.chunks(args.batch).map(|rows| {
            let examples = test.fetch(rows, 0)?;
            Ok(trainer.embed(&examples.views()[view])?)
        });
        Ok(Tensor::cat(
            &blocks.collect::<anyhow::Result<Vec<_>>>()?,
            0,
        )?)
    };
    let precision = |trainer: &Trainer<TwoStreamMetricLoss>| -> anyhow::Result<f64> {
        let mut index = FlatIndex::new(FlatMetric::Cosine);
        index.add(&embed(trainer, 1)?)?;
        let found = index.search(&embed(trainer, 0)?, 1)?;
        let right = (0..)
            .zip(&found.indices)
            .filter(|(row, first)| *row == **first);
        Ok(right.count() as f64 / test.len() as f64)
    };
    let before = precision(&trainer)?;
    trainer.run(args.epochs)?;
    let after = precision(&trainer)?;
    writeln!(
        out,
        "an anchor finds its positive first among {}: {after:.4} (before: {before:.4})",
        test.len()
    )?;
    if let Some(path) = &args.out {
        let saved = weights.save(path);
        saved.with_context(|| format!("can't write {}", path.display()))?;
        writeln!(out, "weights in {}", path.display())?;
    }
    Ok(Accuracy { before, after })
}

/// Where everything is computed.
pub(crate) const DEVICE: Device = Device::Cpu;
