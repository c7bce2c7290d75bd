//! `cargo xtask bench`: our speed as a ratio to PyTorch Metric Learning's or faiss's, measured side by side.
//!
//! Machines are noisy and differ: ours and the peer's runs take turns in one session, and what counts is the median
//! of the ratios of neighbours. Without `--peer` only our own times are printed.

mod component;
mod data;
mod eval;
#[cfg(feature = "images")]
mod images;
mod mnist;
mod models;
pub(crate) mod table;
mod triplet;
pub(crate) mod worker;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ValueEnum;
use dml_program::number::{self, MANY, within};
use dml_program::{limit_threads, open_device, println};

use table::Row;
use worker::{Sample, Worker};

/// How long a workload may go on before it has to do with the runs that it has.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long the peer's threads keep a core busy after their work, waiting for more: 0.2 s in PyTorch's OpenMP. Ours would
/// be measured beside them.
const SPIN: Duration = Duration::from_millis(300);

/// Arguments of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Measure this group only; may be given several times, or as a list with commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Group>,
    /// Measure only workloads whose name contains this, such as `ArcFace` or `N1024`.
    #[arg(
        long,
        default_value = "",
        value_name = "TEXT",
        hide_default_value = true
    )]
    filter: String,
    /// A Python with torch, pytorch-metric-learning and faiss-cpu, to measure against.
    #[arg(long, value_name = "PYTHON")]
    peer: Option<PathBuf>,
    /// Write every run to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Runs of each workload, after one that is not counted.
    #[arg(long, default_value_t = 5, value_parser = within(1usize, 1000))]
    runs: usize,
    /// Threads of ours and of the peer's. Default: one a core.
    #[arg(long, value_parser = within(1, number::THREADS))]
    threads: Option<usize>,
    /// The folder with the four MNIST files, for the group `mnist`; without it, synthetic digits and no peer.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A folder with a folder of photos for each class, for the group `images`; without it, the group is left out.
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,
    /// Photos of a pass, for the group `images`.
    #[arg(long, default_value_t = 512, value_parser = within(1, MANY))]
    photo_count: usize,
    /// Training images of an epoch, for the group `mnist`.
    #[arg(long, default_value_t = 60_000, value_parser = within(1, MANY))]
    images: usize,
    /// References of the group `eval`; a sixth as many queries, a sixtieth as many clusters.
    #[arg(long, default_value_t = 60_000, value_parser = within(60, MANY))]
    rows: usize,
    /// Where ours and the peer's work: `cpu`, `cuda`, `cuda:N` or `metal`. On a GPU, the peer of a search is torch.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Queries of the group `eval`, in place of a sixth of its references.
    #[arg(long, value_parser = within(1, MANY))]
    queries: Option<usize>,
    /// Be the worker of one workload (internal).
    #[arg(long, hide = true, num_args = 1.., value_name = "WORKLOAD")]
    worker: Vec<String>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Semihard mining, triplet margin loss and backward.
    Triplet,
    /// Every distance, forward and backward.
    Distances,
    /// Every miner.
    Miners,
    /// Every loss, forward and backward.
    Losses,
    /// Exact search, k-means and whole rankings; the peer is faiss.
    Eval,
    /// Photos from files to batches, for training and for evaluation; the peer is torchvision's `DataLoader` with Pillow. Takes
    /// `--photos`.
    Images,
    /// Backbones: a step of training, and the embeddings of a batch; the peer is torchvision, timm or transformers.
    Models,
    /// The MNIST example: one epoch of training, against the peer's and against a loop written by hand.
    Mnist,
}

/// Who does the same work, and what its worker is told.
enum Peer {
    /// The Python of `--peer`.
    Python(Vec<String>),
    /// This program, by another of its workloads.
    Own(Vec<String>),
}

/// Two ways to do the same work.
struct Workload {
    id: String,
    /// Whether both work on the same numbers, so that their answers must agree.
    same_work: bool,
    /// What our worker is told.
    ours: Vec<String>,
    /// `None` where no peer can do it.
    peer: Option<Peer>,
}

impl Workload {
    /// Workload whose peer, if there is one, runs in the Python of `--peer` with the same arguments.
    fn new(id: String, same_work: bool, told: Vec<String>, has_peer: bool) -> Self {
        Self {
            id,
            same_work,
            peer: has_peer.then(|| Peer::Python(told.clone())),
            ours: told,
        }
    }
}

/// Measures the chosen groups.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let threads = match args.threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism()?.get(),
    };
    if let Some((workload, rest)) = args.worker.split_first() {
        limit_threads(threads)?;
        let device = open_device(&args.device).context("--device")?;
        return match workload.as_str() {
            "triplet" => triplet::serve(rest, &device),
            "component" => component::serve(rest, &device),
            "eval" => eval::serve(rest, &device),
            #[cfg(feature = "images")]
            "images" => images::serve(rest, threads),
            "models" => models::serve(rest, &device),
            "mnist" => mnist::serve(rest, &device, mnist::Setup::trainer),
            "mnist-by-hand" => mnist::serve(rest, &device, mnist::Setup::by_hand),
            other => anyhow::bail!("no workload {other}"),
        };
    }
    let folder = tempfile::tempdir()?;
    // This program may stand alone on a machine that has no sources.
    let script = folder.path().join("pml_worker.py");
    std::fs::write(&script, include_str!("../../peers/pml_worker.py"))?;
    let mut rows = Vec::new();
    println!("{threads} threads, {} runs each", args.runs);
    Row::print_header();
    let on_gpu = args.device != "cpu";
    let components = |role: &component::Role| role.workloads(folder.path(), &args.filter, on_gpu);
    for group in Group::value_variants() {
        if !args.only.is_empty() && !args.only.contains(group) {
            continue;
        }
        let workloads = match group {
            Group::Triplet => triplet::workloads(folder.path())?,
            Group::Distances => components(&component::DISTANCES)?,
            Group::Miners => components(&component::MINERS)?,
            Group::Losses => components(&component::LOSSES)?,
            Group::Eval => eval::workloads(folder.path(), args.rows, args.queries)?,
            Group::Images => image_workloads(args)?,
            Group::Models => models::workloads(folder.path(), &args.filter)?,
            Group::Mnist => mnist::workloads(args.data_dir.as_deref(), args.images),
        };
        let first = rows.len();
        // A peer of our own, such as the same step in another form, says nothing beside the others.
        let mut compared = Vec::new();
        for workload in workloads {
            if !workload.id.contains(&args.filter) {
                continue;
            }
            let row = measure(args, &workload, threads, &script)
                .with_context(|| format!("measuring {}", workload.id))?;
            row.print();
            if !matches!(workload.peer, Some(Peer::Own(_))) {
                compared.push(rows.len());
            }
            rows.push(row);
        }
        if *group == Group::Images {
            table::print_rates(&rows[first..]);
        }
        table::print_summary(compared.iter().map(|i| &rows[*i]));
    }
    if let Some(file) = &args.json {
        dml::core::durable::write(file, &serde_json::to_vec_pretty(&rows)?)
            .with_context(|| file.display().to_string())?;
    }
    Ok(())
}

/// The workloads of the group `images`; none without `--photos`, unless the group was asked for.
fn image_workloads(args: &Args) -> anyhow::Result<Vec<Workload>> {
    let Some(photos) = &args.photos else {
        anyhow::ensure!(
            !args.only.contains(&Group::Images),
            "--only images: expected --photos DIR with it, got none"
        );
        return Ok(Vec::new());
    };
    #[cfg(feature = "images")]
    {
        images::workloads(photos, args.photo_count)
    }
    #[cfg(not(feature = "images"))]
    {
        anyhow::bail!(
            "--photos {}: expected a program with the feature `images`, got one without it",
            photos.display()
        )
    }
}

/// Runs ours and the peer's in turn; the first round warms both up and is not counted.
fn measure(args: &Args, workload: &Workload, threads: usize, script: &Path) -> anyhow::Result<Row> {
    let own = |told: &[String]| -> anyhow::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["bench", "--threads", &threads.to_string()])
            .args(["--device", &args.device, "--worker"])
            .args(told);
        Ok(command)
    };
    let mut ours = Worker::start("ours", own(&workload.ours)?)?;
    let mut peer = match (&args.peer, &workload.peer) {
        (_, Some(Peer::Own(told))) => Some(Worker::start("peer", own(told)?)?),
        (Some(python), Some(Peer::Python(told))) => {
            let mut command = Command::new(python);
            command
                .arg(script)
                .args(told)
                .args([&threads.to_string(), &args.device]);
            Some(Worker::start("peer", command)?)
        }
        _ => None,
    };
    let (mut our_samples, mut peer_samples): (Vec<Sample>, Vec<Sample>) = Default::default();
    let mut peer_failure = None;
    let start = Instant::now();
    for round in 0..=args.runs {
        // Where the peer needs a minute a run, one run that counts has to do.
        if round > 1 && start.elapsed() > PATIENCE {
            break;
        }
        if peer.is_some() {
            std::thread::sleep(SPIN);
        }
        let our_sample = warm(&mut ours)?;
        let peer_sample = match peer.as_mut().map(warm) {
            None => None,
            Some(Ok(sample)) => Some(sample),
            Some(Err(error)) => {
                (peer, peer_failure) = (None, Some(format!("{error:#}")));
                peer_samples.clear();
                None
            }
        };
        if round > 0 {
            our_samples.push(our_sample);
            peer_samples.extend(peer_sample);
        }
    }
    Ok(Row::new(
        workload.id.clone(),
        workload.same_work,
        our_samples,
        peer_samples,
        peer_failure,
    ))
}

/// The median of runs one after the other, as steps of a training follow each other: after a pause, threads sleep and
/// caches hold the other's data, and a single run of less than a millisecond says little. A long run is one alone.
fn warm(worker: &mut Worker) -> anyhow::Result<Sample> {
    const LONG_MS: f64 = 200.0;
    /// So long runs go on, and so many of them at most, after one that does not count.
    const ENOUGH_MS: f64 = 30.0;
    const MOST: usize = 15;
    let first = worker.run()?;
    if first.ms > LONG_MS {
        return Ok(first);
    }
    let mut samples = Vec::new();
    let start = Instant::now();
    while samples.is_empty()
        || samples.len() < MOST && start.elapsed().as_secs_f64() * 1000.0 < ENOUGH_MS
    {
        samples.push(worker.run()?);
    }
    samples.sort_by(|a, b| a.ms.total_cmp(&b.ms));
    Ok(samples[samples.len() / 2])
}
