//! The training of a run: method, sampler, hooks and checkpoints around the network.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dml::candle_core::{DType, Device, Tensor};
use dml::losses::SeededVars;
use dml::train::log::CsvLog;
use dml::train::{
    Checkpoints, CheckpointsConfig, Clip, Criterion, Ended, Epoch, Flow, Hook, HookResult, Method,
    StopWhen, Trainer, TrainerBuilder, Validation, ValidationConfig,
};
use dml::{Labels, Objective, Sampler, TensorExt};
use dml_program::{Interrupt, eprintln};

use crate::data::RunData;
use crate::evaluation::EvaluationSet;
use crate::history::History;
use crate::network::Network;
use crate::run_folder;
use crate::settings::Settings;

/// A trainer with what is shown of it.
#[derive(Debug)]
struct Training<M: Method> {
    trainer: Trainer<M>,
    history: History,
    epochs: u64,
}

/// How a training went.
#[derive(Clone, Copy, Debug)]
pub struct Trained {
    /// Why it ended.
    pub ended: Ended,
    /// Seconds of training and validation.
    pub seconds: f64,
    /// Epochs that are done.
    pub epochs: u64,
    /// Iterations that are done.
    pub steps: u64,
    /// The best epoch and its validation.
    pub best: Option<(u64, f64)>,
}

/// The loss with its miner, and the seeded variables that it learns.
///
/// # Errors
/// Arguments that the component refuses.
pub fn criterion(settings: &Settings, device: &Device) -> anyhow::Result<Criterion> {
    let vars = SeededVars::new(settings.train.seed).builder(DType::F32, device);
    let loss = settings.loss_config()?;
    let mut objective: Objective = loss
        .build_with(&vars)
        .map_err(|error| settings.refused("loss", &error))?;
    if let Some(miner) = &settings.miner {
        objective = objective.with_miner(miner.build()?);
    }
    let learns = !objective.loss().parameters().is_empty();
    let criterion = Criterion::from(objective);
    Ok(match learns {
        false => criterion,
        true => criterion.with_optimizer(|own| settings.optimizer.build(own))?,
    })
}

/// Batches of a run, and how long it is.
#[derive(Debug)]
pub struct Plan {
    /// The sampler.
    pub sampler: Arc<dyn Sampler>,
    /// Iterations and epochs of the whole run.
    pub length: [u64; 2],
}

impl Plan {
    /// Batches of rows with these labels.
    ///
    /// # Errors
    /// A sampler that the labels can't fulfil.
    pub fn new(settings: &Settings, labels: &Labels) -> anyhow::Result<Self> {
        let sampler = settings.sampler_config()?.build(labels);
        let sampler = sampler.map_err(|error| settings.refused("sampler", &error))?;
        let steps = sampler.batches() / settings.train.accumulate;
        let epochs = settings.train.epochs;
        Ok(Self {
            length: [epochs.saturating_mul(steps.max(1) as u64), epochs],
            sampler,
        })
    }
}

/// What a training has around its method.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where everything is computed.
    pub device: Device,
    /// The folder of the run.
    pub folder: PathBuf,
    /// Ctrl-C.
    pub interrupt: Interrupt,
}

impl Surroundings {
    /// The trainer with everything that the settings ask for. The best model by validation data is written after its epoch.
    ///
    /// # Errors
    /// Options that contradict the method.
    pub fn training<M: Method + 'static>(
        &self,
        settings: &Settings,
        builder: TrainerBuilder<M>,
        plan: &Plan,
        network: &dyn Network,
        data: &RunData,
    ) -> anyhow::Result<Box<dyn TrainingRun>> {
        let own = &settings.train;
        let history = History::new(plan.length[0], &settings.evaluate.metric.to_string());
        let checkpoints = CheckpointsConfig {
            every_iterations: own.checkpoint_every,
            keep_last: own.keep_checkpoints,
            keep_best: data.validation.is_some(),
        };
        let folder = self.folder.join(run_folder::CHECKPOINTS);
        let mut builder = builder
            .with_seed(own.seed)
            .with_device(self.device.clone())
            .with_loading_threads(own.loading_threads)
            .with_accumulation(own.accumulate)
            .with_checkpoints(Checkpoints::new(folder, checkpoints)?)
            .with_hook(CsvLog::new(&self.folder))
            .with_hook(history.clone())
            .with_hook(StopWhen::new(self.interrupt.flag()));
        if let Some(rows) = own.gradient_cache {
            builder = builder.with_gradient_cache(rows);
        }
        if let Some(norm) = own.clip {
            builder = builder.with_clip(Clip::norm(norm)?);
        }
        if let Some(decay) = own.ema {
            builder = builder.with_ema(decay);
        }
        if let Some((set, every)) = judged(settings, data) {
            builder = builder.with_validation(self.validation(settings, set, every, network)?);
        }
        if data.validation.is_some() {
            builder = builder.with_hook(SaveBest {
                folder: self.folder.join(run_folder::MODEL),
                network: network.shared(),
            });
        }
        Ok(Box::new(Training {
            trainer: builder.build()?,
            history,
            epochs: plan.length[1],
        }))
    }

    fn validation(
        &self,
        settings: &Settings,
        set: &EvaluationSet,
        every: u64,
        network: &dyn Network,
    ) -> anyhow::Result<Validation> {
        let own = &settings.evaluate;
        let config = ValidationConfig {
            every,
            patience: own.patience,
            ..ValidationConfig::default()
        };
        let (set, metric, batch) = (set.clone(), own.metric, own.batch);
        let (normalize, things) = (network.is_normalized_last(), network.things());
        let device = self.device.clone();
        let validation = Validation::new(config, move |model| {
            let embedded = set.embed(batch, things, |view| {
                embedding(model, &view.to_device(&device)?, normalize)
            })?;
            let values = embedded.metrics(&[metric])?;
            let value = values.first().map(|(_, value)| *value);
            value.ok_or_else(|| format!("{metric}: can't be computed of this set").into())
        });
        Ok(validation?)
    }
}

/// The set that is evaluated between epochs, and how often.
fn judged<'d>(settings: &Settings, data: &'d RunData) -> Option<(&'d EvaluationSet, u64)> {
    let every = settings.evaluate.every;
    match (&data.validation, &data.test, every) {
        (Some(set), _, every) => Some((set, every.unwrap_or(1))),
        (None, Some(set), Some(every)) => Some((set, every)),
        _ => None,
    }
}

/// Embeddings as the model that is written gives them.
fn embedding(model: &dyn Method, view: &Tensor, normalize: bool) -> dml::Result<Tensor> {
    let rows = model.embed(view)?;
    match normalize {
        true => rows.normalize_rows(2.0),
        false => Ok(rows),
    }
}

/// A training whatever its method.
pub trait TrainingRun: std::fmt::Debug {
    /// Goes on from the latest checkpoint, if there is one; the number of its iterations.
    ///
    /// # Errors
    /// Checkpoints of another run, or damaged ones alone.
    fn resume(&mut self) -> anyhow::Result<Option<u64>>;

    /// Trains to the end, or until it is interrupted.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    fn run(&mut self) -> anyhow::Result<Trained>;

    /// Writes the model: with averaged weights, if the run averages.
    ///
    /// # Errors
    /// A disk that is full.
    fn write(&self, network: &dyn Network, folder: &Path) -> anyhow::Result<()>;
}

impl<M: Method> TrainingRun for Training<M> {
    fn resume(&mut self) -> anyhow::Result<Option<u64>> {
        let step = self.trainer.resume()?;
        for damaged in self.trainer.damaged_checkpoints() {
            let (step, problem) = (damaged.step, &damaged.problem);
            eprintln!(
                "note: passed over the checkpoint of step {step}, which is damaged: {problem}"
            );
        }
        if let Some(step) = step {
            self.history.resume_at(step);
        }
        Ok(step)
    }

    fn run(&mut self) -> anyhow::Result<Trained> {
        let ended = self.trainer.run(self.epochs)?;
        Ok(Trained {
            ended,
            seconds: self.history.seconds(),
            epochs: self.trainer.epochs(),
            steps: self.trainer.steps(),
            best: self.trainer.best(),
        })
    }

    fn write(&self, network: &dyn Network, folder: &Path) -> anyhow::Result<()> {
        self.trainer.with_averages(|_| network.write(folder))?
    }
}

/// Writes the model after each epoch that is the best so far.
#[derive(Debug)]
struct SaveBest {
    folder: PathBuf,
    network: Box<dyn Network>,
}

impl Hook for SaveBest {
    fn name(&self) -> &str {
        "save_best"
    }

    fn best(&mut self, _: &Epoch, _: &dyn Method) -> HookResult {
        self.network.write(&self.folder)?;
        Ok(Flow::Continue)
    }
}
