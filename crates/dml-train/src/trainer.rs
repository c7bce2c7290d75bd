//! The training loop: epochs of steps, with hooks, validation and checkpoints between them.
//!
//! | module | what it does |
//! |---|---|
//! | `epoch` | the iterations of an epoch, then validation, hooks and a checkpoint |
//! | `step` | one iteration: batch, gradients, checks, optimisers |
//! | `batches` | batches of the data set, on the right device and of the right type |
//! | `gradients` | gradients of the batches of a step, averaged |
//! | `finiteness`, `unused_parameters` | checks before anything moves |
//! | `group_checks` | whether the parameter groups can learn together, checked when the run is built |
//! | `rollback` | buffers and random sequences, put back after a step that failed |
//! | `parameter_groups`, `named_state` | everything that learns or has state, by name |
//! | `checkpoints`, `snapshot`, `restore`, `weights` | the state of a run to and from the disk |

mod batches;
mod checkpoints;
mod epoch;
mod finiteness;
mod gradients;
mod group_checks;
mod named_state;
mod parameter_groups;
mod restore;
mod rollback;
mod snapshot;
mod step;
mod unused_parameters;
mod weights;

use std::sync::Arc;

use candle_core::Tensor;
use dml_core::{Dataset, Sampler, no_grad};

use crate::checkpoint::{Counters, DamagedCheckpoint, Fingerprint};
use crate::ema::with_averages;
use crate::mixed_precision::LossScale;
use crate::{Ema, Flow, Loader, Method, Result, TrainError, TrainerBuilder};
use group_checks::check_groups;
use parameter_groups::{averaged_buffers, averaged_parameters, parameter_groups};
use unused_parameters::UnusedParameters;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// All epochs are done.
    Finished,
    /// A hook asked for it.
    Stopped,
    /// Early stopping: validation did not improve for longer than its patience.
    OutOfPatience,
}

/// A [`Method`] in training: data, sampler, hooks and counters around it. See the [crate's example](crate).
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `module(name, inputs, outputs)` is a linear layer with an optimiser, `objective()` a triplet loss.
/// use candle_core::{DType, Device, Tensor};
/// use dml_train::{Ended, MetricLossOnly, Trainer};
///
/// let method = MetricLossOnly::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?).build()?;
/// assert_eq!(trainer.run(2)?, Ended::Finished);
/// let images = Tensor::zeros((3, 1, 28, 28), DType::F32, &Device::Cpu)?;
/// assert_eq!(trainer.embed(&images)?.dims(), [3, 16]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Trainer<M> {
    run: TrainerBuilder<M>,
    counters: Counters,
    loader: Option<Loader>,
    ema: Option<Ema>,
    loss_scale: Option<LossScale>,
    /// The steps of the checkpoints that this run has written or resumed from.
    owned_steps: Vec<u64>,
    damaged_checkpoints: Vec<DamagedCheckpoint>,
    /// Whether optimisers failed halfway, so that the weights belong to no step.
    is_inconsistent: bool,
    /// State of the sampler before the pass of the current position was drawn.
    pass_drawn_with: Option<Arc<[f64]>>,
    unused_parameters: UnusedParameters,
    /// Fingerprint of data and sampler, once it was needed.
    fingerprint: Option<Fingerprint>,
    /// Sum and number of the losses of the steps that the epoch has made.
    epoch_loss: (f64, u64),
}

impl<M: Method> Trainer<M> {
    /// Begins the description of a run.
    pub fn builder(
        method: M,
        dataset: impl Dataset + 'static,
        sampler: impl Sampler + 'static,
    ) -> TrainerBuilder<M> {
        TrainerBuilder::new(method, Arc::new(dataset), Arc::new(sampler))
    }

    pub(crate) fn new(run: TrainerBuilder<M>) -> Result<Self> {
        let groups = parameter_groups(&run.method);
        let policy = run.mixed_precision.as_ref();
        check_groups(&groups, run.validation.as_ref(), policy)?;
        let (weights, buffers) = (
            averaged_parameters(&run.method),
            averaged_buffers(&run.method),
        );
        let ema = run
            .ema
            .clone()
            .map(|config| Ema::new(config, weights, buffers));
        let loss_scale = policy.and_then(|policy| policy.loss_scale.clone());
        Ok(Self {
            loss_scale: loss_scale.map(LossScale::new),
            run,
            counters: Counters::default(),
            loader: None,
            ema: ema.transpose()?,
            owned_steps: Vec::new(),
            damaged_checkpoints: Vec::new(),
            is_inconsistent: false,
            pass_drawn_with: None,
            unused_parameters: UnusedParameters::default(),
            fingerprint: None,
            epoch_loss: (0.0, 0),
        })
    }

    /// The method in training.
    #[must_use]
    pub fn method(&self) -> &M {
        &self.run.method
    }

    /// The trained method, without the run around it.
    #[must_use]
    pub fn into_method(self) -> M {
        self.run.method
    }

    /// The averaged weights, if the run averages.
    #[must_use]
    pub fn ema(&self) -> Option<&Ema> {
        self.ema.as_ref()
    }

    /// Number of epochs that are done.
    #[must_use]
    pub fn epochs(&self) -> u64 {
        self.counters.epoch
    }

    /// Number of iterations that are done.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.counters.step
    }

    /// The best epoch so far and its validation.
    #[must_use]
    pub fn best(&self) -> Option<(u64, f64)> {
        let best = self.run.validation.as_ref()?.best()?;
        Some((best.epoch, best.value))
    }

    /// Number of iterations of an epoch.
    #[must_use]
    pub fn iterations_per_epoch(&self) -> u64 {
        let pass = self.run.sampler.batches() / self.run.accumulation;
        let pass = pass.max(1) as u64;
        self.run.iterations_per_epoch.unwrap_or(pass)
    }

    /// Embeddings of rows by the latest weights, outside of the graph: `[rows, …]` → `[rows, dim]`.
    ///
    /// # Errors
    /// As the modules of the method.
    pub fn embed(&self, view: &Tensor) -> Result<Tensor> {
        let view = self.prepared(view.clone())?;
        Ok(no_grad(|| self.run.method.embed(&view))?.detach())
    }

    /// Embeddings of rows of the view at `index` by the latest weights, for methods with a network for each view.
    ///
    /// # Errors
    /// As the modules of the method.
    pub fn embed_view(&self, index: usize, view: &Tensor) -> Result<Tensor> {
        let view = self.prepared(view.clone())?;
        Ok(no_grad(|| self.run.method.embed_view(index, &view))?.detach())
    }

    /// Runs `f` with the averaged weights in place of the latest ones. Without averages, `f` sees the latest.
    ///
    /// # Errors
    /// [`TrainError::Core`] if Candle cannot copy the weights.
    pub fn with_averages<T>(&self, f: impl FnOnce(&M) -> T) -> Result<T> {
        Ok(with_averages(self.ema.as_ref(), || f(&self.run.method))?)
    }

    /// Trains until `epochs` epochs are done, those before an interruption or an earlier call included.
    ///
    /// # Errors
    /// - [`TrainError::FolderInUse`] if the folder holds the checkpoints of another run.
    /// - [`TrainError::Locked`] while another run writes to the folder.
    /// - [`TrainError::NonFinite`] if a loss, embedding, gradient, running statistic or parameter is NaN or infinite. With a
    ///   loss scale such a step is skipped, and [`TrainError::LossScale`] ends the run when the scale reaches its minimum.
    /// - [`TrainError::Unused`] if no gradient reaches a parameter.
    /// - [`TrainError::Panicked`] if data set or sampler panic. Panics of the method, its losses, validation and hooks go
    ///   on to the caller.
    /// - The errors of data set, method, optimisers, validation and hooks.
    ///
    /// After an error, or a panic that the caller catches, another call continues the run. An iteration whose step was not
    /// made is repeated with the same batch and the same random numbers. A validation that failed is repeated too. After a
    /// hook that failed, the next iteration or epoch follows. If optimisers failed halfway, the call returns
    /// [`TrainError::Interrupted`] until [`resume`](Trainer::resume) has read a checkpoint.
    pub fn run(&mut self, epochs: u64) -> Result<Ended> {
        if self.is_inconsistent {
            return Err(TrainError::Interrupted);
        }
        let _lock = self.claim_folder()?;
        for group in parameter_groups(&self.run.method) {
            group.adopt_parameters()?;
        }
        if self.counters.step == 0
            && let Some(ema) = &mut self.ema
        {
            // Weights may have been loaded since the run was built.
            ema.restart()?;
        }
        let ended = loop {
            if let Some(validation) = &self.run.validation
                && validation.is_exhausted()
            {
                break Ended::OutOfPatience;
            }
            if self.counters.epoch >= epochs {
                break Ended::Finished;
            }
            if self.epoch()? == Flow::Stop {
                break Ended::Stopped;
            }
        };
        for hook in &mut self.run.hooks {
            let result = hook.finish(ended);
            result.map_err(|source| TrainError::hook(hook.name(), source))?;
        }
        Ok(ended)
    }
}
