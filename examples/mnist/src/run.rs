//! A run from its arguments to its report.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, bail};
use dml::core::folder_lock::FolderLock;
use dml::eval::rank_me;
use dml::train::log::TensorBoard;
use dml::train::{
    Checkpoints, CheckpointsConfig, Ended, MetricLossOnly, StopWhen, Trainer, TrainerBuilder,
    Validation, ValidationConfig,
};
use dml_program::{eprintln, limit_threads, open_device, peak_mb, println, terminal};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::args::Args;
use crate::components::Components;
use crate::data_source::{self, Digits};
use crate::evaluation::{Embedded, Embedder, Evaluation};
use crate::history::History;
use crate::iteration_log::IterationLog;
use crate::network::Network;
use crate::outputs::{Outputs, checkpoints_in};
use crate::pictures;
use crate::report::{Config, Metrics, Seconds, count, page_of, print_summary};
use crate::settings::Settings;
use crate::training::Training;
use dml_program::Interrupt;

/// Number of test embeddings that [`rank_me`] is computed from: enough for all their directions, and quick.
const RANK_ME_SAMPLE: usize = 1024;

/// Trains, embeds, measures and reports.
///
/// # Errors
/// If an argument is wrong, the data can't be read, an output can't be written, or the run is interrupted.
pub fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(threads) = args.threads {
        limit_threads(threads)?;
    }
    run_until(args, &Interrupt::listen()?, |builder| builder)
}

/// The run, which `interrupt` may end and `more` may add hooks to.
pub(crate) fn run_until(
    args: &Args,
    interrupt: &Interrupt,
    more: impl FnOnce(TrainerBuilder<MetricLossOnly>) -> TrainerBuilder<MetricLossOnly>,
) -> anyhow::Result<()> {
    let device = open_device(&args.device).context("--device")?;
    // Errors in the arguments are reported before anything is downloaded.
    let components = args.components.resolve(args.batch_size, args.seed)?;
    let objective = components.objective(&device)?;
    let checkpoints = checkpoints(args)?;
    let digits = data_source::open_until(
        interrupt,
        args.dataset,
        args.data_dir.as_deref(),
        args.limit,
    )?;
    let (train, test) = (digits.sets.train.len(), digits.sets.test.len());
    let sampler = components.sampler(digits.sets.train.labels())?;
    let settings = Settings {
        seed: args.seed,
        dataset: digits.name,
        config: config(args, &components, &digits),
    };
    let outputs = open_outputs(args, &settings)?;
    println!(
        "{}: {train} images to train on, {test} to test with",
        digits.name
    );

    let network = Network::new(&mut ChaCha8Rng::seed_from_u64(args.seed), &device)?;
    let iterations = args.epochs * sampler.batches() as u64;
    let history = History::new(
        IterationLog::new(&outputs),
        iterations,
        components.miner.is_some(),
    );
    let run = Run {
        args,
        interrupt,
        embedder: Embedder::new(&network, &digits, &device),
        components,
        digits,
        outputs,
        network,
        history,
        last_validation: Rc::default(),
    };
    let training = Training {
        network: &run.network,
        digits: &run.digits,
        objective,
        sampler,
        learning_rate: args.lr,
        gradient_cache: args.gradient_cache,
        device: &device,
    };
    let builder = run.observe(training.builder()?)?;
    let mut trainer = more(builder.with_checkpoints(checkpoints))
        .with_hook(StopWhen::new(interrupt.flag()))
        .build()?;
    let train_seconds = run.train(&mut trainer)?;
    run.measure(train_seconds)
}

/// The parts of a run that outlive its trainer.
struct Run<'a> {
    args: &'a Args,
    interrupt: &'a Interrupt,
    components: Components,
    digits: Digits,
    outputs: Outputs,
    network: Network,
    embedder: Embedder,
    history: History,
    /// The embeddings of the last epoch's validation, which are those of the trained model.
    last_validation: Rc<RefCell<Option<Embedded>>>,
}

impl Run<'_> {
    /// Adds the history, the validation after every epoch and the event file.
    fn observe(
        &self,
        builder: TrainerBuilder<MetricLossOnly>,
    ) -> anyhow::Result<TrainerBuilder<MetricLossOnly>> {
        let mut builder = builder.with_hook(self.history.clone());
        if self.args.epochs > 1 && self.embedder.can_be_evaluated() {
            builder = builder.with_validation(self.validation()?);
        }
        if self.args.tensorboard {
            builder = builder.with_hook(self.board());
        }
        Ok(builder)
    }

    /// Precision@1 after every epoch.
    fn validation(&self) -> dml::Result<Validation> {
        let (embedder, history) = (self.embedder.clone(), self.history.clone());
        let last = Rc::clone(&self.last_validation);
        Validation::new(ValidationConfig::default(), move |_| {
            let start = Instant::now();
            let embedded = embedder.embed()?;
            let evaluation = embedder.evaluate(&embedded, &[])?;
            if history.is_complete() {
                *last.borrow_mut() = Some(embedded);
            }
            history.validated(start.elapsed().as_secs_f64());
            Ok(evaluation.precision_at_1)
        })
    }

    /// Events of every iteration, and after every epoch the effective rank of the test embeddings, which falls when they
    /// collapse.
    fn board(&self) -> TensorBoard {
        let embedder = self.embedder.clone();
        let board = TensorBoard::new(self.outputs.path("tensorboard"));
        board.with_epoch_scalars(move |_| {
            let rank = rank_me(&embedder.embed_sample(RANK_ME_SAMPLE)?)?;
            Ok(vec![("epoch/rank_me".to_owned(), rank)])
        })
    }

    /// Trains to the last epoch, writes the model, and returns the seconds of training.
    fn train(&self, trainer: &mut Trainer<MetricLossOnly>) -> anyhow::Result<f64> {
        if self.args.resume {
            resume(trainer, self.args.epochs)?;
            self.outputs.remove_results()?;
        }
        if trainer.run(self.args.epochs)? == Ended::Stopped {
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
        let seconds = self.history.seconds();
        self.network.save(&self.outputs.path("model.safetensors"))?;
        self.history.finish_log()?;
        Ok(seconds)
    }

    /// Embeds, evaluates and draws, and writes `metrics.json` and the page.
    fn measure(&self, train_seconds: f64) -> anyhow::Result<()> {
        let mut validation_seconds = self.history.validation_seconds();
        let embedded = match self.last_validation.take() {
            Some(embedded) => {
                // The table of timings lists it as embedding.
                validation_seconds -= embedded.seconds;
                embedded
            }
            None => self.embedder.embed()?,
        };
        self.interrupt.check(|| "training has ended and model.safetensors is written; the same command with --resume measures it".to_owned())?;

        // Additional metrics and pictures may fail, such as a curve of pairs where all are of one class. The error is reported
        // at the end, when everything else is on the disk.
        let mut failures = Vec::new();
        let start = Instant::now();
        let evaluation = self.evaluate(&embedded, &mut failures)?;
        let eval_seconds = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let has_miner = self.components.miner.is_some();
        let curves = pictures::curves(&self.outputs, &self.history, has_miner)?;
        let mut pictures = Vec::new();
        if !self.args.no_pictures {
            let sets = &self.digits.sets;
            let (test, train) = ((&embedded.test, &sets.test), (&embedded.train, &sets.train));
            match pictures::embeddings(&self.outputs, test, train) {
                Ok(drawn) => pictures = drawn,
                Err(error) => failures.push(error.context("drawing the embeddings")),
            }
        }
        let seconds = Seconds {
            train_seconds,
            embed_seconds: embedded.seconds,
            eval_seconds,
            picture_seconds: start.elapsed().as_secs_f64(),
        };
        let metrics = self.metrics(evaluation, seconds);
        let json = serde_json::to_vec_pretty(&metrics)?;
        self.outputs.write("metrics.json", &json)?;
        let has_validation = !self.history.precisions().is_empty();
        let validation_seconds = has_validation.then_some(validation_seconds);
        let page = page_of(&metrics, curves, pictures, validation_seconds)?;
        self.outputs
            .write("report.html", page.to_string().as_bytes())?;
        print_summary(&metrics, &self.args.out);
        println!(
            "Test set accuracy (Precision@1) = {}",
            metrics.precision_at_1
        );
        failures.into_iter().next().map_or(Ok(()), Err)
    }

    /// Precision@1 and the metrics of `--metrics`; Precision@1 alone if those fail.
    fn evaluate(
        &self,
        embedded: &Embedded,
        failures: &mut Vec<anyhow::Error>,
    ) -> anyhow::Result<Evaluation> {
        let evaluation = match self.embedder.evaluate(embedded, &self.args.metrics) {
            Err(error) if !self.args.metrics.is_empty() => {
                failures.push(error.context("--metrics"));
                self.embedder.evaluate(embedded, &[])?
            }
            evaluation => evaluation?,
        };
        for (name, value) in &evaluation.metrics {
            println!("{name} = {value}");
        }
        Ok(evaluation)
    }

    /// The content of `metrics.json`.
    fn metrics(&self, evaluation: Evaluation, seconds: Seconds) -> Metrics<'_> {
        let args = self.args;
        let iterations = self.history.iterations();
        Metrics {
            precision_at_1: evaluation.precision_at_1,
            metrics: evaluation.metrics,
            seconds,
            peak_rss_mb: peak_mb(),
            iterations: iterations.len(),
            final_loss: iterations.last().map_or(0.0, |done| done.loss),
            dataset: self.digits.name,
            seed: args.seed,
            config: config(args, &self.components, &self.digits),
        }
    }
}

/// The checkpoints of a run; `--resume` requires one.
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
        if args.out.is_dir() {
            // Another run may be writing here, before its first checkpoint.
            FolderLock::acquire(&args.out).context("--resume")?;
        }
        bail!(
            "--resume: found no checkpoint in {}; without --resume, the run begins anew",
            checkpoints.folder().display()
        );
    }
    Ok(checkpoints)
}

fn config<'a>(args: &'a Args, components: &'a Components, digits: &Digits) -> Config<'a> {
    Config {
        epochs: args.epochs,
        batch_size: args.batch_size,
        gradient_cache: args.gradient_cache,
        lr: args.lr,
        threads: rayon::current_num_threads(),
        train_images: digits.sets.train.len(),
        test_images: digits.sets.test.len(),
        device: &args.device,
        components,
    }
}

/// The folder `--out`: that of the interrupted run with the same settings, or one without results.
fn open_outputs(args: &Args, settings: &Settings<'_>) -> anyhow::Result<Outputs> {
    if args.resume {
        let outputs = Outputs::open(&args.out)?;
        settings.check(&args.out)?;
        Ok(outputs)
    } else {
        let outputs = Outputs::create(&args.out)?;
        settings.keep(&outputs)?;
        Ok(outputs)
    }
}

/// Continues from the last checkpoint, and reports it.
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
