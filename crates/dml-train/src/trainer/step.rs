//! One iteration: the gradients of a batch, the checks before anything moves, and a step of the optimisers.
//!
//! Until the optimisers begin, an error or a panic leaves the trainer as it was before the iteration, so that the next
//! [`run`](Trainer::run) repeats the same batch: [`Rollback`] puts buffers and random sequences back, and the position in
//! the data moves only when the step is done.

use std::time::Instant;

use candle_core::Var;
use candle_core::backprop::GradStore;
use tracing::debug_span;

use super::Trainer;
use super::batches::BatchSource;
use super::parameter_groups::parameter_groups;
use super::rollback::Rollback;
use crate::clip::gradient_norm;
use crate::mixed_precision::LossScale;
use crate::{Iteration, Method, ParameterGroup, Result, TrainError};

/// Learning rate of every parameter group in the order of [`parameter_groups`]; `None` for groups that make no step.
pub(super) type Rates = [Option<f64>];

impl<M: Method> Trainer<M> {
    /// Runs one iteration: a step of every parameter group that the method trains in this epoch.
    pub(super) fn iteration(&mut self, epoch: u64) -> Result<Iteration> {
        let start = Instant::now();
        let _span = debug_span!("iteration", step = self.counters.step).entered();
        let mut source = BatchSource {
            loader: self.take_loader()?,
            position: self.counters.position,
        };
        let criteria = self.run.method.criteria();
        let rollback = Rollback::new(self.buffers(), &criteria, self.seeds())?;
        let (mut gradients, sums) = self.gradients(epoch, &mut source)?;
        let _step = debug_span!("step").entered();
        let rates = self.rates(epoch)?;
        self.check_unused_parameters(&gradients, &rates, &sums.left_out)?;
        let mut fault = sums.fault.clone();
        let mut done = sums.finish();
        let moved = moved_variables(&parameter_groups(&self.run.method), &rates);
        if self.run.measures_gradients {
            done.gradient_norm = Some(gradient_norm(&gradients, &moved)?);
        }
        if fault.is_none() {
            fault = self.gradient_fault(&gradients, &rates, done.gradient_norm)?;
        }
        if fault.is_none() {
            fault = rollback.buffer_fault()?;
        }
        done.loss_scale = self.loss_scale.as_ref().map(LossScale::scale);
        match fault {
            Some(fault) => {
                self.back_off(fault, &done, &rates)?;
                rollback.skip()?;
                done.skipped = true;
            }
            None => {
                if let Some(clip) = self.run.clip {
                    clip.apply(&mut gradients, &moved)?;
                }
                rollback.commit();
                self.move_parameters(&mut gradients, &rates)?;
            }
        }
        for group in parameter_groups(&self.run.method) {
            if let Some(rate) = group.learning_rate() {
                done.learning_rates.push((group.name().to_owned(), rate));
            }
        }
        self.count(source, &done);
        done.seconds = start.elapsed().as_secs_f64();
        Ok(done)
    }

    /// Moves counters and the position in the data past an iteration.
    fn count(&mut self, source: BatchSource, done: &Iteration) {
        self.counters.position = source.position;
        self.loader = Some(source.loader);
        self.counters.iteration += 1;
        self.counters.step += 1;
        if done.skipped {
            self.counters.skipped += 1;
        } else {
            self.epoch_loss.0 += done.loss;
            self.epoch_loss.1 += 1;
        }
    }

    /// The learning rates of a step, by the schedules.
    fn rates(&self, epoch: u64) -> Result<Vec<Option<f64>>> {
        let method = &self.run.method;
        let (steps, epochs) = (self.counters.made(), self.counters.epoch);
        let rate = |group: &ParameterGroup| {
            if !group.learns() || group.is_frozen() || !method.trains(group.name(), epoch) {
                return Ok(None);
            }
            let got = group.rate(steps, epochs);
            if got.is_finite() {
                return Ok(Some(got));
            }
            let group = group.name().to_owned();
            Err(TrainError::LearningRate { group, got, steps })
        };
        parameter_groups(method).into_iter().map(rate).collect()
    }

    /// Makes a step of the optimisers, the averages and the loss scale. An error or a panic in between leaves weights that
    /// belong to no step.
    fn move_parameters(&mut self, gradients: &mut GradStore, rates: &Rates) -> Result<()> {
        self.is_inconsistent = true;
        let groups = self.run.method.parameter_groups_mut().into_iter();
        for (group, rate) in groups.zip(rates) {
            if let Some(rate) = rate {
                group.step(gradients, *rate)?;
            }
        }
        if let Some(ema) = &mut self.ema {
            ema.update(self.counters.made() + 1)?;
        }
        if let Some(scale) = &mut self.loss_scale {
            scale.grow();
        }
        self.is_inconsistent = false;
        Ok(())
    }
}

/// The variables that the optimisers of a step move.
fn moved_variables(groups: &[&ParameterGroup], rates: &Rates) -> Vec<Var> {
    let stepping = groups.iter().zip(rates).filter(|(_, rate)| rate.is_some());
    stepping
        .flat_map(|(group, _)| group.moved().cloned())
        .collect()
}
