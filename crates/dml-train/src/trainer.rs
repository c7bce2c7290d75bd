//! The loop: load, differentiate, step, tell.

mod gradients;
mod learners;
mod snapshot;

use std::sync::Arc;
use std::time::Instant;

use candle_core::{Tensor, Var};
use dml_core::{Dataset, Sampler};
use tracing::{debug_span, info_span};

use crate::checkpoint::{Counters, Fingerprint};
use crate::clip::gradient_norm;
use crate::mixed_precision::LossScale;
use crate::{
    Ema, Epoch, Flow, Iteration, Loader, Method, Norms, Result, Spread, TrainError, TrainerBuilder,
};
use learners::{averaged, check_learners, check_plateaus, check_types, learners, learners_mut};

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
    is_resumed: bool,
    /// Of data and sampler, once it was asked for.
    fingerprint: Option<Fingerprint>,
    /// The mean loss of the epoch so far, as sum and count.
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
        let ema = match run.ema_decay {
            None => None,
            Some(decay) => Some(Ema::new(decay, averaged(&run.method))?),
        };
        let policy = run.mixed_precision.as_ref();
        let loss_scale = policy.and_then(|policy| policy.loss_scale.clone());
        Ok(Self {
            loss_scale: loss_scale.map(LossScale::new),
            run,
            counters: Counters::default(),
            loader: None,
            ema,
            is_resumed: false,
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
    /// [`TrainError::FolderInUse`] if the checkpoints of another run stand where this one's would; as the data set,
    /// the method, its optimisers, validation and hooks. After an error the run can be taken up at its last checkpoint.
    pub fn run(&mut self, epochs: u64) -> Result<Ended> {
        self.claim_folder()?;
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
                self.write_checkpoint()?;
                return Ok(Flow::Stop);
            }
            let due = |own: &crate::Checkpoints| own.is_due(self.counters.step);
            // The last iteration's is written when validation has had its say.
            if !is_last && self.run.checkpoints.as_ref().is_some_and(due) {
                self.write_checkpoint()?;
            }
        }
        self.counters.epoch = epoch;
        self.counters.iteration = 0;
        let validation = self.validate(epoch)?;
        let (sum, count) = std::mem::take(&mut self.epoch_loss);
        let done = Epoch {
            epoch,
            step: self.counters.step,
            mean_loss: if count == 0 { 0.0 } else { sum / count as f64 },
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

    /// One step of every optimiser.
    fn iteration(&mut self, epoch: u64) -> Result<Iteration> {
        let start = Instant::now();
        let _span = debug_span!("iteration", step = self.counters.step).entered();
        let (mut gradients, sums) = self.gradients(epoch)?;
        let mut done = blank(epoch, self.counters.iteration, self.counters.step + 1);
        sums.finish(&mut done);
        let _step = debug_span!("step").entered();
        let learning: Vec<Var> = learners(&self.run.method)
            .into_iter()
            .filter(|learner| learner.learns() && self.run.method.trains(learner.name(), epoch))
            .flat_map(|learner| learner.moved().cloned())
            .collect();
        let mut finite = true;
        if self.run.measures_gradients || self.loss_scale.is_some() {
            let norm = gradient_norm(&gradients, &learning)?;
            done.gradient_norm = self.run.measures_gradients.then_some(norm);
            if let Some(scale) = &mut self.loss_scale {
                done.loss_scale = Some(scale.scale());
                finite = norm.is_finite();
                scale.update(finite);
            }
        }
        if let Some(clip) = self.run.clip {
            clip.apply(&mut gradients, &learning)?;
        }
        let trains: Vec<bool> = learners(&self.run.method)
            .into_iter()
            .map(|learner| learner.learns() && self.run.method.trains(learner.name(), epoch))
            .collect();
        let (steps, epochs) = (self.counters.step, self.counters.epoch);
        for (learner, trains) in learners_mut(&mut self.run.method).into_iter().zip(trains) {
            if trains && finite {
                learner.step(&mut gradients, steps, epochs)?;
            }
        }
        for learner in learners(&self.run.method) {
            if let Some(rate) = learner.learning_rate() {
                done.learning_rates.push((learner.name().to_owned(), rate));
            }
        }
        if let Some(ema) = &mut self.ema
            && finite
        {
            ema.update()?;
        }
        self.counters.iteration += 1;
        self.counters.step += 1;
        self.epoch_loss.0 += done.loss;
        self.epoch_loss.1 += 1;
        done.seconds = start.elapsed().as_secs_f64();
        Ok(done)
    }

    /// Judges the averaged weights, if there are any, else the latest; and tells the plateau schedules.
    fn validate(&mut self, epoch: u64) -> Result<Option<f64>> {
        let Some(validation) = &mut self.run.validation else {
            return Ok(None);
        };
        let _span = info_span!("validation").entered();
        let (method, step) = (&self.run.method, self.counters.step);
        let mut judge = || validation.judge(epoch, step, method);
        let value = match &self.ema {
            None => judge()?,
            Some(ema) => ema.while_in_place(judge)??,
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
