//! `cargo xtask mnist`: PyTorch Metric Learning's example `TripletMarginLossMNIST`, from data to Precision@1.
//!
//! ```text
//! images → conv 3×3 (32) → relu → conv 3×3 (64) → relu → max pool 2 → dropout of channels 0.25 → linear (128)
//! batch 256, Adam at 0.01, semihard triplets by cosine with margin 0.2, triplet loss with margin 0.2
//! ```
//!
//! Standard output has the example's lines, and last `Test set accuracy (Precision@1) = …`; the progress bar goes to
//! standard error and only to a terminal. The folder `--out` gets `metrics.json`, `log.csv`, `model.safetensors`, and
//! `report.html`, a page with curves, pictures of the embeddings, timings and settings; each picture as a file of its own,
//! SVG and PNG; and checkpoints, from which `--resume` goes on: a run that was interrupted ends with the same bits as one
//! that was not.

mod course;
mod data_source;
mod download;
mod evaluation;
mod interrupt;
mod log;
mod network;
mod outputs;
mod parts;
mod pictures;
mod results;
mod settings;
mod training;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, bail};
use dml::config::MetricName;
use dml::eval::rank_me;
use dml::train::log::TensorBoard;
use dml::train::{
    Checkpoints, CheckpointsConfig, Ended, MetricLossOnly, StopWhen, Trainer, TrainerBuilder,
    Validation, ValidationConfig,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::device;
use crate::memory::peak_mb;
use crate::number::{self, MANY, within};
use crate::terminal;
use course::Course;
use evaluation::{Embedded, Embedder};
use interrupt::Interrupt;
use log::Log;
use outputs::{Outputs, checkpoints_in};
use results::{Config, Metrics, count, page_of, print_summary};
use settings::Settings;

pub(crate) use data_source::{Dataset, Digits, open};
pub(crate) use network::Network;
pub(crate) use parts::{PartArgs, Parts};
pub(crate) use training::Training;

/// How many test embeddings tell whether they collapse: enough for all their directions, and quick.
const RANK_ME_SAMPLE: usize = 1024;

/// Arguments of `cargo xtask mnist`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to learn.
    #[arg(long, value_enum, default_value_t)]
    dataset: Dataset,
    /// A folder with the four files of MNIST or Fashion-MNIST, plain or compressed.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Passes over the training images.
    #[arg(long, default_value_t = 1, value_parser = within(0u64, 1_000_000))]
    epochs: u64,
    /// Images of a batch.
    #[arg(long, default_value_t = 256, value_parser = within(1, MANY))]
    batch_size: usize,
    /// Compute the gradients of a batch so many rows at a time: the memory of a small batch, the loss of the whole one, and
    /// a second forward pass.
    #[arg(long, value_name = "ROWS", value_parser = within(1, MANY))]
    gradient_cache: Option<usize>,
    /// Learning rate of Adam.
    #[arg(long, default_value_t = 0.01, value_parser = number::rate)]
    lr: f64,
    /// Seed of weights, order and dropout.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads [default: one a core].
    #[arg(long, value_parser = within(1, number::THREADS))]
    threads: Option<usize>,
    /// `cpu`, `cuda`, `cuda:N` or `metal`; the last ones need the feature of that name.
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    parts: PartArgs,
    /// Keep only the first images: N to train on and N / 6 to test with.
    #[arg(long, value_name = "N", value_parser = within(1usize, 1_000_000))]
    limit: Option<usize>,
    /// Metrics to compute besides Precision@1, such as `mean_average_precision_at_r,ndcg_at_10,NMI,roc_auc,rank_me`; a
    /// wrong name gives an error that lists all.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    metrics: Vec<MetricName>,
    /// Leave the embeddings undrawn: no scatter, no sheet of neighbours, no curves of verification, no confusion.
    #[arg(long)]
    no_pictures: bool,
    /// Go on with the interrupted run in `--out`, from its last checkpoint.
    #[arg(long)]
    resume: bool,
    /// Write a checkpoint every N iterations, too, not only after every epoch and on Ctrl-C.
    #[arg(long, value_name = "N", value_parser = within(1, u64::MAX))]
    checkpoint_every: Option<u64>,
    /// Write the numbers of every iteration and epoch as events: `tensorboard --logdir OUT/tensorboard` draws them.
    #[arg(long)]
    tensorboard: bool,
    /// Where the results go.
    #[arg(long, value_name = "DIR", default_value = "target/mnist")]
    out: PathBuf,
}

/// Trains, embeds, measures.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(threads) = args.threads {
        device::limit_threads(threads)?;
    }
    run_until(args, &Interrupt::listen()?, |builder| builder)
}

/// The run, which `interrupt` may end and `more` may add hooks to.
fn run_until(
    args: &Args,
    interrupt: &Interrupt,
    more: impl FnOnce(TrainerBuilder<MetricLossOnly>) -> TrainerBuilder<MetricLossOnly>,
) -> anyhow::Result<()> {
    let device = device::open(&args.device)?;
    // Whatever is wrong with the arguments is said before anything is downloaded.
    let parts = args.parts.resolve(args.batch_size, args.seed)?;
    let objective = parts.objective(&device)?;
    let checkpoints = checkpoints(args)?;
    let digits = data_source::open_until(
        interrupt,
        args.dataset,
        args.data_dir.as_deref(),
        args.limit,
    )?;
    let (train, test) = (&digits.sets.train, &digits.sets.test);
    let sampler = parts.sampler(train.labels())?;
    let settings = Settings {
        seed: args.seed,
        batch_size: args.batch_size,
        gradient_cache: args.gradient_cache,
        lr: args.lr,
        dataset: digits.name,
        train_images: train.len(),
        test_images: test.len(),
        device: &args.device,
        parts: &parts,
    };
    let outputs = if args.resume {
        let outputs = Outputs::open(&args.out)?;
        settings.check(&args.out)?;
        outputs
    } else {
        let outputs = Outputs::create(&args.out)?;
        settings.keep(&outputs)?;
        outputs
    };
    println!(
        "{}: {} images to train on, {} to test with",
        digits.name,
        train.len(),
        test.len()
    );

    let network = Network::new(&mut ChaCha8Rng::seed_from_u64(args.seed), &device)?;
    let iterations = args.epochs * sampler.batches() as u64;
    let course = Course::new(Log::new(&outputs), iterations, parts.miner.is_some());
    let training = Training {
        network: &network,
        digits: &digits,
        objective,
        sampler,
        learning_rate: args.lr,
        gradient_cache: args.gradient_cache,
        device: &device,
    };
    let embedder = Embedder::new(&network, &digits, &device);
    let mut builder = training.builder()?.with_hook(course.clone());
    let last = Rc::new(RefCell::new(None));
    if args.epochs > 1 && embedder.can_be_evaluated() {
        builder = builder.with_validation(validation(&embedder, &course, &last)?);
    }
    if args.tensorboard {
        builder = builder.with_hook(board(&outputs, &embedder));
    }
    let mut trainer = more(builder.with_checkpoints(checkpoints))
        .with_hook(StopWhen::new(interrupt.flag()))
        .build()?;
    if args.resume {
        resume(&mut trainer, args.epochs)?;
        outputs.remove_results()?;
    }
    if trainer.run(args.epochs)? == Ended::Stopped {
        let why = match terminal::failure() {
            Some(failure) if terminal::is_unread(failure) => "standard output was closed",
            Some(_) => "standard output can't be written to",
            None => "interrupted",
        };
        bail!(
            "{why} after {}; the same command with --resume goes on from here",
            count(trainer.steps(), "iteration")
        );
    }
    let train_seconds = course.seconds();
    network.save(&outputs.path("model.safetensors"))?;
    course.finish_log()?;

    // What the last validation has embedded need not be embedded again.
    let mut validation_seconds = course.validation_seconds();
    let embedded = match last.take() {
        Some(embedded) => {
            // It stands under another name in the table of timings.
            validation_seconds -= embedded.seconds;
            embedded
        }
        None => embedder.embed()?,
    };
    interrupt.check(|| "training has ended and model.safetensors is written; the same command with --resume measures it".to_owned())?;

    // What was asked for besides may fail, such as a curve of pairs where all are of one class: that is said at the end,
    // when everything else is on the disk.
    let mut failures = Vec::new();
    let start = Instant::now();
    let evaluation = match embedder.evaluate(&embedded, &args.metrics) {
        Err(error) if !args.metrics.is_empty() => {
            failures.push(error.context("--metrics"));
            embedder.evaluate(&embedded, &[])?
        }
        other => other?,
    };
    for (name, value) in &evaluation.metrics {
        println!("{name} = {value}");
    }
    let eval_seconds = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let has_miner = parts.miner.is_some();
    let curves = pictures::curves(&outputs, &course, has_miner)?;
    let mut pictures = Vec::new();
    if !args.no_pictures {
        match pictures::embeddings(&outputs, (&embedded.test, test), (&embedded.train, train)) {
            Ok(drawn) => pictures = drawn,
            Err(error) => failures.push(error.context("drawing the embeddings")),
        }
    }
    let history = course.iterations();
    let metrics = Metrics {
        precision_at_1: evaluation.precision_at_1,
        metrics: evaluation.metrics,
        train_seconds,
        embed_seconds: embedded.seconds,
        eval_seconds,
        picture_seconds: start.elapsed().as_secs_f64(),
        peak_rss_mb: peak_mb(),
        iterations: history.len(),
        final_loss: history.last().map_or(0.0, |done| done.loss),
        dataset: digits.name,
        seed: args.seed,
        config: Config {
            epochs: args.epochs,
            batch_size: args.batch_size,
            gradient_cache: args.gradient_cache,
            lr: args.lr,
            threads: rayon::current_num_threads(),
            device: &args.device,
            train_images: train.len(),
            test_images: test.len(),
            parts: &parts,
        },
    };
    outputs.write("metrics.json", &serde_json::to_vec_pretty(&metrics)?)?;
    let validation_seconds = (!course.precisions().is_empty()).then_some(validation_seconds);
    let page = page_of(&metrics, curves, pictures, validation_seconds)?;
    outputs.write("report.html", page.to_string().as_bytes())?;
    print_summary(&metrics, &args.out);
    println!(
        "Test set accuracy (Precision@1) = {}",
        metrics.precision_at_1
    );
    match failures.into_iter().next() {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// Where the checkpoints go; for a run to be taken up, they must be there.
fn checkpoints(args: &Args) -> anyhow::Result<Checkpoints> {
    let config = CheckpointsConfig {
        every_iterations: args.checkpoint_every,
        // The model of a run is its last one.
        keep_best: false,
        ..CheckpointsConfig::default()
    };
    let checkpoints =
        Checkpoints::new(checkpoints_in(&args.out), config).context("--checkpoint-every")?;
    if args.resume && checkpoints.steps()?.is_empty() {
        bail!(
            "--resume: found no checkpoint in {}; without --resume, the run begins anew",
            checkpoints.folder().display()
        );
    }
    Ok(checkpoints)
}

/// Goes on from the last checkpoint, and says so.
fn resume(trainer: &mut Trainer<MetricLossOnly>, epochs: u64) -> anyhow::Result<()> {
    let steps = trainer.resume().context("--resume")?.unwrap_or(0);
    for damaged in trainer.damaged_checkpoints() {
        eprintln!(
            "warning: the checkpoint after {} is damaged, and is now {}: {}",
            count(damaged.step, "iteration"),
            damaged.moved_to.display(),
            damaged.problem
        );
    }
    if trainer.epochs() > epochs {
        bail!(
            "--resume: {} are done already, expected --epochs to be as many or more, got {epochs}",
            count(trainer.epochs(), "epoch")
        );
    }
    println!("going on after {}", count(steps, "iteration"));
    Ok(())
}

/// Precision@1 after every epoch. The embeddings of the last epoch are kept: they are those of the model.
fn validation(
    embedder: &Embedder,
    course: &Course,
    last: &Rc<RefCell<Option<Embedded>>>,
) -> dml::Result<Validation> {
    let (embedder, course, last) = (embedder.clone(), course.clone(), Rc::clone(last));
    Validation::new(ValidationConfig::default(), move |_| {
        let start = Instant::now();
        let embedded = embedder.embed()?;
        let evaluation = embedder.evaluate(&embedded, &[])?;
        if course.is_complete() {
            *last.borrow_mut() = Some(embedded);
        }
        course.validated(start.elapsed().as_secs_f64());
        Ok(evaluation.precision_at_1)
    })
}

/// Writes events; after every epoch also over how many directions the first test embeddings spread, which tells how far
/// they are from collapse.
fn board(outputs: &Outputs, embedder: &Embedder) -> TensorBoard {
    let embedder = embedder.clone();
    let board = TensorBoard::new(outputs.path("tensorboard"));
    board.with_epoch_scalars(move |_| {
        let rank = rank_me(&embedder.embed_sample(RANK_ME_SAMPLE)?)?;
        Ok(vec![("epoch/rank_me".to_owned(), rank)])
    })
}
