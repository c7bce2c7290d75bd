//! One epoch: iterations, then validation, hooks and a checkpoint.

use std::time::Instant;

use dml_core::no_grad;
use tracing::info_span;

use super::Trainer;
use crate::ema::with_averages;
use crate::{Epoch, Flow, Hook, HookResult, Method, Result, TrainError};

impl<M: Method> Trainer<M> {
    /// Runs one epoch, or what is left of it after an interruption.
    pub(super) fn epoch(&mut self) -> Result<Flow> {
        let start = Instant::now();
        let epoch = self.counters.epoch + 1;
        let _span = info_span!("epoch", epoch).entered();
        let iterations = self.iterations_per_epoch();
        self.run.method.begin_epoch(epoch);
        for group in self.run.method.parameter_groups_mut() {
            group.begin_epoch(epoch);
        }
        while self.counters.iteration < iterations {
            let done = self.iteration(epoch)?;
            let method = &self.run.method;
            let flow = notify(&mut self.run.hooks, |hook| hook.iteration(&done, method))?;
            if flow == Flow::Stop {
                self.check_parameters(epoch)?;
                self.write_checkpoint()?;
                return Ok(Flow::Stop);
            }
            // The checkpoint of the last iteration is written after validation.
            let is_last = self.counters.iteration == iterations;
            let checkpoints = self.run.checkpoints.as_ref();
            if !is_last && checkpoints.is_some_and(|own| own.is_due(self.counters.step)) {
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
        let method = &self.run.method;
        let mut flow = notify(&mut self.run.hooks, |hook| hook.epoch(&done, method))?;
        let is_best = done.best.is_some_and(|(best, _)| best == epoch);
        if is_best && self.notify_of_best(&done)? == Flow::Stop {
            flow = Flow::Stop;
        }
        self.write_checkpoint()?;
        Ok(flow)
    }

    /// Notifies hooks of the best epoch so far, with the weights that validation evaluated.
    fn notify_of_best(&mut self, done: &Epoch) -> Result<Flow> {
        let (method, hooks) = (&self.run.method, &mut self.run.hooks);
        let notify = || notify(hooks, |hook| hook.best(done, method));
        with_averages(self.ema.as_ref(), notify)?
    }

    /// Evaluates the averaged weights if there are any, else the latest, and reports the value to plateau schedules.
    fn validate(&mut self, epoch: u64) -> Result<Option<f64>> {
        let Some(validation) = &mut self.run.validation else {
            return Ok(None);
        };
        let _span = info_span!("validation").entered();
        let (method, step) = (&self.run.method, self.counters.step);
        let evaluate = || no_grad(|| validation.evaluate(epoch, step, method));
        let value = with_averages(self.ema.as_ref(), evaluate)??;
        if let Some(value) = value {
            for group in self.run.method.parameter_groups_mut() {
                if let Some(plateau) = &mut group.plateau {
                    plateau.observe(value);
                }
            }
        }
        Ok(value)
    }
}

/// Calls every hook; [`Flow::Stop`] if any of them returns it.
fn notify(
    hooks: &mut [Box<dyn Hook>],
    mut call: impl FnMut(&mut dyn Hook) -> HookResult,
) -> Result<Flow> {
    let mut flow = Flow::Continue;
    for hook in hooks {
        let result = call(hook.as_mut());
        if result.map_err(|source| TrainError::hook(hook.name(), source))? == Flow::Stop {
            flow = Flow::Stop;
        }
    }
    Ok(flow)
}
