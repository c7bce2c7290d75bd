//! An embedding learnt from a folder of class folders and judged by a folder of classes that it has never seen.
//!
//! ```text
//! pictures → (conv 3×3 → relu → max pool 2) until the side is at most 8 → linear → embedding
//! loss: triplet margin 0.2 by cosine on semihard triplets; batches of some pictures of each of some classes; Adam
//! ```
//!
//! The pictures need no preparation: PNG or JPEG of any size in a folder for each class. What can't be decoded is left
//! out and listed. The folder `--out` gets `metrics.json`, `model.safetensors`, and `report.html`, a page with the metrics
//! before and after training, the curve of the loss and pictures of the embeddings.

mod data;
mod report;
mod results;

use std::cell::RefCell;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use anyhow::ensure;
use dml::nn::{Adam, AdamConfig};
use dml::samplers::{MPerClassSampler, MPerClassSamplerConfig};
use dml::train::{Flow, MetricLossOnly, NamedModule, Trainer};
use dml_program::number::{self, within};
use serde::Serialize;

use crate::{evaluation, network, triplets};

pub use results::{FolderSummary, Results};

/// Pictures of a class in a batch, unless there are too few classes to fill it.
const PER_CLASS: usize = 4;

/// What to learn from, what to test with, and how.
#[derive(Clone, Debug, PartialEq, Serialize, clap::Parser)]
#[command(
    name = "image_folder",
    about = "Learns an embedding from a folder of class folders, and judges it by classes that it has never seen."
)]
pub struct Args {
    /// The folder to learn from: a folder of pictures for each class, at any depth.
    #[arg(long, value_name = "DIR")]
    #[serde(serialize_with = "results::shown")]
    pub train: PathBuf,
    /// The folder to test with: the same with other classes.
    #[arg(long, value_name = "DIR")]
    #[serde(serialize_with = "results::shown")]
    pub test: PathBuf,
    /// Passes over the training pictures.
    #[arg(long, default_value_t = 20, value_parser = within(0u64, 1_000_000))]
    pub epochs: u64,
    /// Height and width that pictures are brought to, 8 to 512.
    #[arg(long, default_value_t = 64, value_parser = within(8usize, 512))]
    pub size: usize,
    /// Pictures of a batch, at least 8.
    #[arg(long, default_value_t = 64, value_parser = within(8usize, 1_000_000))]
    pub batch: usize,
    /// Numbers of an embedding.
    #[arg(long, default_value_t = 64, value_parser = within(1usize, 65_536))]
    pub embedding: usize,
    /// Learning rate of Adam.
    #[arg(long, default_value_t = 0.001, value_parser = number::rate)]
    pub lr: f64,
    /// Seed of weights and order.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Change the training pictures at random each time: cut out, mirrored, in other colours.
    #[arg(long)]
    pub augment: bool,
    /// Threads that decode pictures ahead; no result depends on it.
    #[arg(long, default_value_t = 2, value_parser = within(0usize, 1024))]
    pub threads: usize,
    /// Where the results go.
    #[arg(long, value_name = "DIR", default_value = "target/image_folder")]
    #[serde(serialize_with = "results::shown")]
    pub out: PathBuf,
}

/// Learns, judges, prints to `out`, writes the files.
///
/// # Errors
/// One sentence for a folder that is not there, has no pictures or too few classes, and for arguments out of range.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Results> {
    check(args)?;
    let train = data::open(&args.train, args.size)?;
    let test = data::open(&args.test, args.size)?;
    let _lock = results::create_folder(&args.out)?;
    for (what, folder) in [("to learn from", &train), ("to test with", &test)] {
        let summary = FolderSummary::of(folder);
        writeln!(out, "{summary} {what}")?;
        for skipped in folder.skipped() {
            writeln!(
                out,
                "  left out {}: {}",
                skipped.path.display(),
                skipped.reason
            )?;
        }
    }
    if let Some(sentence) = data::shared_classes(&train, &test) {
        writeln!(out, "{sentence}")?;
    }

    let network = network::build(3, args.size, args.embedding, args.seed)?;
    let parameters = dml::nn::Layer::parameters(&network);
    let trunk = NamedModule::of("trunk", network).with_optimizer(|parameters| {
        let config = AdamConfig {
            lr: args.lr,
            ..AdamConfig::default()
        };
        Adam::new(parameters, config)
    })?;
    let sampler = sampler(args, &train)?;
    let losses = Rc::new(RefCell::new(Vec::new()));
    let seen = losses.clone();
    let mut trainer = Trainer::builder(
        MetricLossOnly::new(trunk, triplets::objective()?),
        data::training_set(&train, args)?,
        sampler,
    )
    .with_seed(args.seed)
    .with_loading_threads(args.threads)
    .on_epoch(move |epoch, _| {
        seen.borrow_mut().push(epoch.mean_loss);
        Ok(Flow::Continue)
    })
    .build()?;

    let labels = dml::Dataset::labels(&test);
    let embeddings = evaluation::embed(&trainer, &test, args.batch)?;
    let untrained = evaluation::evaluate(&embeddings, labels, &[])?;
    let start = Instant::now();
    for epoch in 1..=args.epochs {
        trainer.run(epoch)?;
        if let Some(loss) = losses.borrow().last() {
            writeln!(out, "epoch {epoch}: loss {loss:.4}")?;
        }
    }
    let train_seconds = start.elapsed().as_secs_f64();
    let embeddings = evaluation::embed(&trainer, &test, args.batch)?;
    let trained = evaluation::evaluate(&embeddings, labels, &[])?;
    let results = Results {
        metrics: trained,
        metrics_before_training: untrained,
        losses: losses.take(),
        train_seconds,
        train: FolderSummary::of(&train),
        test: FolderSummary::of(&test),
        config: args.clone(),
    };
    results.write(&parameters)?;
    report::write(&results, &embeddings, &test)?;
    write!(out, "{}", results.table())?;
    writeln!(
        out,
        "trained in {train_seconds:.1} s; results in {}",
        args.out.display()
    )?;
    Ok(results)
}

fn check(args: &Args) -> anyhow::Result<()> {
    let Args {
        size,
        batch,
        embedding,
        ..
    } = *args;
    ensure!(
        (8..=512).contains(&size),
        "--size: expected 8 to 512, got {size}"
    );
    ensure!(
        batch >= 2 * PER_CLASS,
        "--batch: expected at least {}, got {batch}",
        2 * PER_CLASS
    );
    ensure!(embedding >= 1, "--embedding: expected at least 1, got 0");
    Ok(())
}

/// Balanced batches of at most `args.batch` pictures, such that an epoch is a pass over all of them.
fn sampler(args: &Args, train: &dml::data::ImageFolder) -> anyhow::Result<MPerClassSampler> {
    let labels = dml::Dataset::labels(train);
    let mut present = labels.as_slice().to_vec();
    present.sort_unstable();
    present.dedup();
    let m = (args.batch / present.len()).max(PER_CLASS);
    let classes = (args.batch / m).min(present.len());
    let config = MPerClassSamplerConfig {
        batch_size: Some(m * classes),
        coverage: true,
        seed: args.seed,
        ..MPerClassSamplerConfig::new(m)
    };
    Ok(MPerClassSampler::new(config, labels)?)
}
