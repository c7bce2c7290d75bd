//! The loop: load, differentiate, step, tell.

mod before_step;
mod gradients;
mod learners;
mod reached;
mod snapshot;
mod step;

use std::sync::Arc;
use std::time::Instant;

use candle_core::Tensor;
use dml_core::{Dataset, Sampler};
use tracing::info_span;

use crate::checkpoint::{Counters, DamagedCheckpoint, Fingerprint};
use crate::mixed_precision::LossScale;
use crate::{
    Ema, Epoch, Flow, Iteration, Loader, Method, Norms, Result, Spread, TrainError, TrainerBuilder,
};
use learners::{
    averaged, changing, check_learners, check_plateaus, check_types, learners, learners_mut,
};
use reached::Reached;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All epochs are done.
    Finished,
    /// A hook asked for it.
    Stopped,
    /// Validation waited in vain for a better epoch.
    OutOfPatience,
}

/// A [`Method`] in training: data, sampler, hooks and counters around it. See the [crate's example](crate).
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
    /// Whether optimisers failed halfway.
    is_torn: bool,
    /// The state that the sampler had when the pass of the current position was drawn.
    drawn_with: Option<Arc<[f64]>>,
    reached: Reached,
    /// Of data and sampler, once it was asked for.
    fingerprint: Option<Fingerprint>,
    /// Sum and number of the losses of the steps that the epoch has made.
    epoch_loss: (f64, u64),
}

impl<M: Method> Trainer<M> {
    /// Starts to describe a run.
    pub fn builder(
        method: M,
        dataset: impl Dataset + 'static,
        sampler: impl Sampler + 'static,
    ) -> TrainerBuilder<M> {
        TrainerBuilder::new(method, Arc::new(dataset), Arc::new(sampler))
    }

    pub(crate) fn new(run: TrainerBuilder<M>) -> Result<Self> {
        check_learners(&learners(&run.method))?;
        check_plateaus(&learners(&run.method), run.validation.as_ref())?;
        if let Some(policy) = &run.mixed_precision {
            check_types(&learners(&run.method), policy)?;
        }
        let ema = match &run.ema {
            None => None,
            Some(config) => {
                let (weights, buffers) = (averaged(&run.method), changing(&run.method));
                Some(Ema::new(config.clone(), weights, buffers)?)
            }
        };
        let policy = run.mixed_precision.as_ref();
        let loss_scale = policy.and_then(|policy| policy.loss_scale.clone());
        Ok(Self {
            loss_scale: loss_scale.map(LossScale::new),
            run,
            counters: Counters::default(),
            loader: None,
            ema,
            owned_steps: Vec::new(),
            damaged_checkpoints: Vec::new(),
            is_torn: false,
            drawn_with: None,
            reached: Reached::default(),
            fingerprint: None,
            epoch_loss: (0.0, 0),
        })
    }

    /// What is trained.
    #[must_use]
    pub fn method(&self) -> &M {
        &self.run.method
    }

    /// What was trained.
    #[must_use]
    pub fn into_method(self) -> M {
        self.run.method
    }

    /// The averaged weights, if they were asked for.
    #[must_use]
    pub fn ema(&self) -> Option<&Ema> {
        self.ema.as_ref()
    }

    /// How many epochs are done.
    #[must_use]
    pub fn epochs(&self) -> u64 {
        self.counters.epoch
    }

    /// How many iterations are done.
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

    /// How many iterations an epoch has.
    #[must_use]
    pub fn iterations_per_epoch(&self) -> u64 {
        let pass = self.run.sampler.batches() / self.run.accumulation;
        let pass = pass.max(1) as u64;
        self.run.iterations_per_epoch.unwrap_or(pass)
    }

    /// Embeddings of rows by the weights as they are: `[rows, …]` → `[rows, dim]`.
    ///
    /// # Errors
    /// As the parts.
    pub fn embed(&self, view: &Tensor) -> Result<Tensor> {
        let view = self.prepared(view.clone())?;
        Ok(self.run.method.embed(&view)?)
    }

    /// Runs `f` with the averaged weights in place of the latest ones; without averages, with these.
    ///
    /// # Errors
    /// [`TrainError::Core`] if Candle cannot copy the weights.
    pub fn with_averages<T>(&self, f: impl FnOnce(&M) -> T) -> Result<T> {
        match &self.ema {
            None => Ok(f(&self.run.method)),
            Some(ema) => Ok(ema.while_in_place(|| f(&self.run.method))?),
        }
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
    /// After an error, or a panic that the caller catches, another call goes on as if it had not been: an iteration whose
    /// step was not made is repeated with the same batch and the same random numbers, a validation that failed is repeated
    /// too, and after a hook that failed the next iteration or epoch follows. If optimisers failed halfway the call is
    /// refused with [`TrainError::Interrupted`] until [`resume`](Trainer::resume) has read a checkpoint.
    pub fn run(&mut self, epochs: u64) -> Result<Ended> {
        if self.is_torn {
            return Err(TrainError::Interrupted);
        }
        let _lock = self.claim_folder()?;
        for learner in learners(&self.run.method) {
            learner.adopt_parameters()?;
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
            result.map_err(|source| failed(hook.name(), source))?;
        }
        Ok(ended)
    }

    /// One epoch, or what is left of it.
    fn epoch(&mut self) -> Result<Flow> {
        let start = Instant::now();
        let epoch = self.counters.epoch + 1;
        let _span = info_span!("epoch", epoch).entered();
        let iterations = self.iterations_per_epoch();
        self.run.method.begin_epoch(epoch);
        while self.counters.iteration < iterations {
            let done = self.iteration(epoch)?;
            let mut flow = Flow::Continue;
            for hook in &mut self.run.hooks {
                let answer = hook.iteration(&done, &self.run.method);
                if answer.map_err(|source| failed(hook.name(), source))? == Flow::Stop {
                    flow = Flow::Stop;
                }
            }
            let is_last = self.counters.iteration == iterations;
            if flow == Flow::Stop {
                self.check_parameters(epoch)?;
                self.write_checkpoint()?;
                return Ok(Flow::Stop);
            }
            let due = |own: &crate::Checkpoints| own.is_due(self.counters.step);
            // The last iteration's is written when validation has had its say.
            if !is_last && self.run.checkpoints.as_ref().is_some_and(due) {
                self.check_parameters(epoch)?;
                self.write_checkpoint()?;
            }
        }
        self.check_parameters(epoch)?;
        let validation = self.validate(epoch)?;
        // Only now: a validation that fails is repeated when the run goes on.
        self.counters.epoch = epoch;
        self.counters.iteration = 0;
        let (sum, count) = std::mem::take(&mut self.epoch_loss);
        let done = Epoch {
            epoch,
            step: self.counters.step,
            mean_loss: sum / count as f64,
            validation,
            best: self.best(),
            seconds: start.elapsed().as_secs_f64(),
        };
        let mut flow = Flow::Continue;
        for hook in &mut self.run.hooks {
            let answer = hook.epoch(&done, &self.run.method);
            if answer.map_err(|source| failed(hook.name(), source))? == Flow::Stop {
                flow = Flow::Stop;
            }
        }
        if done.best.is_some_and(|(best, _)| best == epoch) && self.tell_best(&done)? == Flow::Stop
        {
            flow = Flow::Stop;
        }
        self.write_checkpoint()?;
        Ok(flow)
    }

    /// Tells hooks of the best epoch so far, with the weights that validation judged.
    fn tell_best(&mut self, done: &Epoch) -> Result<Flow> {
        let (method, hooks) = (&self.run.method, &mut self.run.hooks);
        let tell = || {
            let mut flow = Flow::Continue;
            for hook in hooks {
                let answer = hook.best(done, method);
                if answer.map_err(|source| failed(hook.name(), source))? == Flow::Stop {
                    flow = Flow::Stop;
                }
            }
            Ok(flow)
        };
        match &self.ema {
            None => tell(),
            Some(ema) => ema.while_in_place(tell)?,
        }
    }

    /// Judges the averaged weights, if there are any, else the latest; and tells the plateau schedules.
    fn validate(&mut self, epoch: u64) -> Result<Option<f64>> {
        let Some(validation) = &mut self.run.validation else {
            return Ok(None);
        };
        let _span = info_span!("validation").entered();
        let (method, step) = (&self.run.method, self.counters.step);
        let mut pair_kind = || validation.pair_kind(epoch, step, method);
        let value = match &self.ema {
            None => pair_kind()?,
            Some(ema) => ema.while_in_place(pair_kind)??,
        };
        if let Some(value) = value {
            for learner in learners_mut(&mut self.run.method) {
                if let Some(plateau) = learner.plateau_mut() {
                    plateau.observe(value);
                }
            }
        }
        Ok(value)
    }
}

/// An iteration of which nothing is known yet.
pub(crate) fn blank(epoch: u64, iteration: u64, step: u64) -> Iteration {
    Iteration {
        epoch,
        iteration,
        step,
        loss: 0.0,
        losses: Vec::new(),
        terms: Vec::new(),
        mined: None,
        kept: 0,
        total: 0,
        norms: Norms::default(),
        spread: Spread::default(),
        gradient_norm: None,
        loss_scale: None,
        skipped: false,
        learning_rates: Vec::new(),
        examples: 0,
        seconds: 0.0,
    }
}

fn failed(name: &str, source: crate::error::AnyError) -> TrainError {
    TrainError::Hook {
        name: name.to_owned(),
        source,
    }
}
