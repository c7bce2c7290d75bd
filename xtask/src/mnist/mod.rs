//! `cargo xtask mnist`: PyTorch Metric Learning's example `TripletMarginLossMNIST`, from data to Precision@1.
//!
//! ```text
//! images → conv 3×3 (32) → relu → conv 3×3 (64) → relu → max pool 2 → dropout of channels 0.25 → linear (128)
//! batch 256, Adam at 0.01, semihard triplets by cosine with margin 0.2, triplet loss with margin 0.2
//! ```
//!
//! Standard output has the example's lines, and last `Test set accuracy (Precision@1) = …`; the progress bar goes to
//! standard error and only to a terminal. The folder `--out` gets `metrics.json`, `log.csv`, `model.safetensors` and
//! `report.html`, a page with the curves, the timings and the settings.

mod data_source;
mod device;
mod download;
mod evaluation;
mod interrupt;
mod nearest;
mod network;
mod outputs;
mod parts;
mod pictures;
mod report;
mod training;

use std::path::PathBuf;
use std::time::Instant;

use dml::config::MetricName;
use indicatif::{ProgressBar, ProgressStyle};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::memory::peak_mb;
use outputs::{Log, Outputs};
use parts::Parts;
use report::Report;
use training::Iteration;

pub(crate) use data_source::{Dataset, open};
pub(crate) use interrupt::Interrupt;
pub(crate) use network::Network;
pub(crate) use parts::PartArgs;
pub(crate) use training::Trainer;

/// Every how many iterations a line is printed, as in the example.
const PRINT_EVERY: usize = 20;

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
    #[arg(long, default_value_t = 1)]
    epochs: u64,
    /// Images of a batch.
    #[arg(long, default_value_t = 256)]
    batch_size: usize,
    /// Learning rate of Adam.
    #[arg(long, default_value_t = 0.01)]
    lr: f64,
    /// Seed of weights, order and dropout.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads [default: one a core].
    #[arg(long)]
    threads: Option<usize>,
    /// `cpu`, `cuda`, `cuda:N` or `metal`; the last ones need the feature of that name.
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    parts: PartArgs,
    /// Keep only the first images: N to train on and N / 6 to test with.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Metrics to compute besides Precision@1, such as `mean_average_precision_at_r,ndcg_at_10,NMI,roc_auc,rank_me`; a
    /// wrong name gives an error that lists all.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    metrics: Vec<MetricName>,
    /// Draw the embeddings, too: scatter, curves, neighbours and confusion, as SVG and PNG.
    #[arg(long)]
    pictures: bool,
    /// Where the results go.
    #[arg(long, value_name = "DIR", default_value = "target/mnist")]
    out: PathBuf,
}

/// What `metrics.json` holds.
#[derive(Serialize)]
struct Metrics<'a> {
    precision_at_1: f64,
    /// What was asked for besides.
    metrics: Map<String, Value>,
    train_seconds: f64,
    embed_seconds: f64,
    eval_seconds: f64,
    peak_rss_mb: Option<f64>,
    iterations: usize,
    final_loss: f32,
    dataset: &'a str,
    seed: u64,
    config: Config<'a>,
}

/// What was run, in full.
#[derive(Serialize)]
struct Config<'a> {
    epochs: u64,
    batch_size: usize,
    lr: f64,
    threads: usize,
    device: &'a str,
    train_images: usize,
    test_images: usize,
    #[serde(flatten)]
    parts: &'a Parts,
}

/// Trains, embeds, measures.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(threads) = args.threads {
        device::limit_threads(threads)?;
    }
    let device = device::open(&args.device)?;
    // Whatever is wrong with the arguments is said before anything is downloaded.
    let parts = args.parts.resolve(args.batch_size, args.seed)?;
    let objective = parts.objective()?;
    let interrupt = Interrupt::listen()?;
    let digits = open(args.dataset, args.data_dir.as_deref(), args.limit)?;
    let (train, test) = (&digits.sets.train, &digits.sets.test);
    let sampler = parts.sampler(train.labels())?;
    let outputs = Outputs::create(&args.out)?;
    let mut log = Log::create(&outputs)?;
    println!(
        "{}: {} images to train on, {} to test with",
        digits.name,
        train.len(),
        test.len()
    );

    let network = Network::new(&mut ChaCha8Rng::seed_from_u64(args.seed), &device)?;
    let trainer = Trainer {
        network: &network,
        digits: &digits,
        objective: &objective,
        sampler: &*sampler,
        learning_rate: args.lr,
        device: &device,
        interrupt: &interrupt,
    };
    let bar = progress_bar(args.epochs * sampler.batches() as u64);
    let mut history = Vec::new();
    let start = Instant::now();
    let last = trainer.run(args.epochs, |done| {
        history.push(done);
        bar.inc(1);
        bar.set_message(format!("loss {:.4}", done.loss));
        if done.iteration % PRINT_EVERY == 0 {
            bar.suspend(|| print_iteration(&done, parts.miner.is_some()));
        }
        log.line(&csv_line(&done))
    })?;
    let train_seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();
    network.save(&outputs.path("model.safetensors"))?;
    log.finish()?;

    let start = Instant::now();
    let embed = |images| evaluation::embed(&network, images, digits.normalization, &device);
    let embedded = (embed(train)?, embed(test)?);
    let embed_seconds = start.elapsed().as_secs_f64();
    interrupt.check(|| "after training; model.safetensors and log.csv are written".to_owned())?;

    let start = Instant::now();
    let (test_set, train_set) = ((&embedded.1, test), (&embedded.0, train));
    let evaluation = evaluation::evaluate(test_set, train_set, &args.metrics)?;
    for (name, value) in &evaluation.metrics {
        println!("{name} = {value}");
    }
    let eval_seconds = start.elapsed().as_secs_f64();
    let pictures = if args.pictures {
        pictures::write(&outputs, test_set, train_set, &evaluation.nearest)?
    } else {
        Vec::new()
    };
    let metrics = Metrics {
        precision_at_1: evaluation.precision_at_1,
        metrics: evaluation.metrics,
        train_seconds,
        embed_seconds,
        eval_seconds,
        peak_rss_mb: peak_mb(),
        iterations: history.len(),
        final_loss: last.map_or(0.0, |done| done.loss),
        dataset: digits.name,
        seed: args.seed,
        config: Config {
            epochs: args.epochs,
            batch_size: args.batch_size,
            lr: args.lr,
            threads: rayon::current_num_threads(),
            device: &args.device,
            train_images: train.len(),
            test_images: test.len(),
            parts: &parts,
        },
    };
    outputs.write("metrics.json", &serde_json::to_vec_pretty(&metrics)?)?;
    let mut report = report_of(&metrics, &history, parts.miner.is_some())?;
    report.pictures(pictures);
    outputs.write("report.html", report.html()?.as_bytes())?;
    print_summary(&metrics, &args.out);
    println!(
        "Test set accuracy (Precision@1) = {}",
        metrics.precision_at_1
    );
    Ok(())
}

/// The page of a run.
fn report_of(
    metrics: &Metrics<'_>,
    history: &[Iteration],
    has_miner: bool,
) -> anyhow::Result<Report> {
    let config = &metrics.config;
    let summary = format!(
        "data set {}: {} images to train on and {} to test with; {} of batches of {}; seed {}",
        metrics.dataset,
        config.train_images,
        config.test_images,
        count(config.epochs, "epoch"),
        config.batch_size,
        metrics.seed,
    );
    let mut report = Report::new("Deep metric learning on digits", &summary);
    report.fact("Precision@1", format!("{:.4}", metrics.precision_at_1));
    for (name, value) in &metrics.metrics {
        let shown = value
            .as_f64()
            .map_or_else(|| value.to_string(), |x| format!("{x:.4}"));
        report.fact(name, shown);
    }
    report.fact("last loss", format!("{:.4}", metrics.final_loss));
    report.fact("iterations", metrics.iterations.to_string());
    if let Some(mb) = metrics.peak_rss_mb {
        report.fact("peak memory", format!("{mb:.0} MB"));
    }
    let values = |f: fn(&Iteration) -> f64| history.iter().map(f).collect::<Vec<_>>();
    report.curve("loss", &values(|done| f64::from(done.loss)))?;
    let mined = if has_miner { "mined tuples" } else { "values" };
    report.curve(mined, &values(|done| done.mined as f64))?;
    report.timings(&[
        ("training", metrics.train_seconds),
        ("embedding", metrics.embed_seconds),
        ("search and metrics", metrics.eval_seconds),
    ]);
    report.settings(&serde_json::to_value(config)?);
    Ok(report)
}

/// `1 epoch`, `2 epochs`.
fn count(n: u64, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}

fn print_iteration(done: &Iteration, has_miner: bool) {
    let what = if has_miner { "mined tuples" } else { "values" };
    println!(
        "Epoch {} Iteration {}: Loss = {}, Number of {what} = {}",
        done.epoch, done.iteration, done.loss, done.mined
    );
}

fn csv_line(done: &Iteration) -> String {
    let Iteration {
        epoch,
        iteration,
        loss,
        mined,
        kept,
        seconds,
    } = done;
    format!("{epoch},{iteration},{loss},{mined},{kept},{seconds:.3}")
}

fn print_summary(metrics: &Metrics<'_>, out: &std::path::Path) {
    let memory = metrics
        .peak_rss_mb
        .map_or_else(String::new, |mb| format!(", peak memory {mb:.0} MB"));
    println!(
        "trained in {:.1} s, embedded in {:.1} s, searched in {:.1} s{memory}; results in {}",
        metrics.train_seconds,
        metrics.embed_seconds,
        metrics.eval_seconds,
        out.display()
    );
}

/// Drawn to a terminal, and nowhere else.
fn progress_bar(iterations: u64) -> ProgressBar {
    let template = "{bar:40} {pos}/{len} iterations, {msg}, {eta} left";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(iterations).with_style(style)
}
