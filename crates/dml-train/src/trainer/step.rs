//! One step: gradients, the checks before anything moves, and the optimisers.
//!
//! Until the optimisers begin, an error or a panic leaves the trainer as it was before the step, so that the next
//! [`run`](Trainer::run) repeats the very batch: buffers and random sequences are put back by [`BeforeStep`], and
//! the position in the data moves only when the step is done.

use std::time::Instant;

use candle_core::Var;
use candle_core::backprop::GradStore;
use tracing::{debug_span, warn};

use super::before_step::BeforeStep;
use super::learners::{learners, learners_mut};
use super::reached::Turn;
use super::{Trainer, blank};
use crate::clip::gradient_norm;
use crate::host_numbers::first_non_finite;
use crate::mixed_precision::LossScale;
use crate::{Iteration, Learner, Loader, Method, NonFinite, Position, Result, TrainError};

/// Batches while a step is under way.
pub(super) struct Source {
    pub(super) loader: Loader,
    /// Where the next batch stands.
    pub(super) position: Position,
}

impl<M: Method> Trainer<M> {
    /// One step of every optimiser that has its turn.
    pub(super) fn iteration(&mut self, epoch: u64) -> Result<Iteration> {
        let start = Instant::now();
        let _span = debug_span!("iteration", step = self.counters.step).entered();
        let mut source = Source {
            loader: self.take_loader()?,
            position: self.counters.position,
        };
        let criteria = self.run.method.criteria();
        let before = BeforeStep::of(self.buffers(), &criteria, self.seeds())?;
        let (mut gradients, sums) = self.gradients(epoch, &mut source)?;
        let mut done = blank(epoch, self.counters.iteration, self.counters.step + 1);
        let (fault, left_out) = (sums.fault().cloned(), sums.left_out().to_vec());
        sums.finish(&mut done);
        let _step = debug_span!("step").entered();
        let rates = self.rates(epoch)?;
        self.check_reached(&gradients, &rates, &left_out)?;
        let moved = learning(&learners(&self.run.method), &rates);
        if self.run.measures_gradients {
            done.gradient_norm = Some(gradient_norm(&gradients, &moved)?);
        }
        let fault = match fault {
            Some(fault) => Some(fault),
            None => match self.gradient_fault(&gradients, &rates, done.gradient_norm)? {
                Some(fault) => Some(fault),
                None => before.fault()?,
            },
        };
        done.loss_scale = self.loss_scale.as_ref().map(LossScale::scale);
        match fault {
            Some(fault) => {
                self.bear(fault, &done, &rates)?;
                before.skip()?;
                done.skipped = true;
            }
            None => {
                if let Some(clip) = self.run.clip {
                    clip.apply(&mut gradients, &moved)?;
                }
                before.forget();
                self.move_parameters(&mut gradients, &rates)?;
            }
        }
        for learner in learners(&self.run.method) {
            if let Some(rate) = learner.learning_rate() {
                done.learning_rates.push((learner.name().to_owned(), rate));
            }
        }
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
        done.seconds = start.elapsed().as_secs_f64();
        Ok(done)
    }

    /// The loader, at the position of the run. If a step failed and its loader is gone, the rest of the pass is drawn
    /// again as it was drawn before.
    fn take_loader(&mut self) -> Result<Loader> {
        let loader = match self.loader.take() {
            Some(loader) => loader,
            None => match self.drawn_with.take() {
                Some(drawn_with) if self.counters.position.batch > 0 => {
                    let sampler = self.run.sampler.clone();
                    let now = sampler.state();
                    self.drawn_with = Some(drawn_with.clone());
                    sampler.set_state(&drawn_with)?;
                    let loader = self.new_loader();
                    if let Some(now) = now {
                        sampler.set_state(&now)?;
                    }
                    loader
                }
                _ => self.new_loader(),
            },
        };
        self.drawn_with = loader.drawn_with();
        Ok(loader)
    }

    /// Learning rate of every learner whose turn it is.
    fn rates(&self, epoch: u64) -> Result<Vec<Option<f64>>> {
        let method = &self.run.method;
        let (steps, epochs) = (self.counters.made(), self.counters.epoch);
        let rate = |learner: &Learner| {
            if !learner.learns() || !method.trains(learner.name(), epoch) {
                return Ok(None);
            }
            let got = learner.rate(steps, epochs);
            if got.is_finite() {
                return Ok(Some(got));
            }
            let learner = learner.name().to_owned();
            Err(TrainError::LearningRate {
                learner,
                got,
                steps,
            })
        };
        learners(method).into_iter().map(rate).collect()
    }

    /// Refuses parameters that no gradient has reached, or warns of them, when their time is up.
    fn check_reached(
        &mut self,
        gradients: &GradStore,
        rates: &[Option<f64>],
        left_out: &[String],
    ) -> Result<()> {
        if self.reached.is_done() {
            return Ok(());
        }
        let allowed = self.run.gradients_within.is_none();
        let within = self.run.gradients_within.unwrap_or(1);
        let parts = self.run.method.parts().len();
        let iterations = self.iterations_per_epoch();
        let all = learners(&self.run.method).into_iter().zip(rates);
        let turn = |(place, (learner, rate)): (usize, (_, &Option<f64>))| {
            let learner: &Learner = learner;
            let named = left_out.iter().any(|name| name == learner.name());
            Turn {
                learner,
                expected: rate.is_some() && !named && !learner.is_left_out(),
                // A batch without pairs reads no parameter of a loss.
                within: if place < parts {
                    within
                } else {
                    within.max(iterations)
                },
            }
        };
        let turns: Vec<Turn<'_>> = all.enumerate().map(turn).collect();
        let parameters = self.reached.observe(&turns, gradients, allowed);
        match (parameters.is_empty(), allowed) {
            (true, _) => Ok(()),
            (false, false) => Err(TrainError::Unused { parameters }),
            (false, true) => {
                let error = TrainError::Unused { parameters };
                warn!(%error, "parameters stay as they are");
                Ok(())
            }
        }
    }

    /// A gradient that is not finite; `norm` is that of all, if it is known.
    fn gradient_fault(
        &self,
        gradients: &GradStore,
        rates: &[Option<f64>],
        norm: Option<f64>,
    ) -> Result<Option<NonFinite>> {
        if norm.is_some_and(f64::is_finite) {
            return Ok(None);
        }
        let all = learners(&self.run.method).into_iter().zip(rates);
        let named = all
            .filter(|(_, rate)| rate.is_some())
            .flat_map(|(learner, _)| with_names(learner))
            .filter_map(|(name, var)| Some((name, gradients.get(var)?)));
        let found = first_non_finite(named)?;
        Ok(found.map(|(part, parameter)| NonFinite::Gradient {
            part: part.to_owned(),
            parameter: parameter.to_owned(),
        }))
    }

    /// Lowers the loss scale for a step that has to be skipped; an error if that is no help.
    fn bear(&mut self, what: NonFinite, done: &Iteration, rates: &[Option<f64>]) -> Result<()> {
        let bad_parameter = self.parameter_fault()?;
        let learning_rates = named_rates(&learners(&self.run.method), rates);
        let (epoch, iteration, loss) = (done.epoch, done.iteration, done.loss);
        match (&mut self.loss_scale, bad_parameter) {
            (Some(scale), None) => {
                let current = scale.scale();
                scale.back_off().map_err(|min_scale| TrainError::LossScale {
                    what: Box::new(what),
                    epoch,
                    iteration,
                    loss,
                    learning_rates,
                    scale: current,
                    min_scale,
                })
            }
            (_, bad_parameter) => Err(TrainError::NonFinite {
                what: Box::new(bad_parameter.unwrap_or(what)),
                epoch,
                iteration,
                loss,
                learning_rates,
            }),
        }
    }

    /// A parameter of what learns that is not finite.
    fn parameter_fault(&self) -> Result<Option<NonFinite>> {
        let all = learners(&self.run.method).into_iter();
        let named = all.filter(|own| own.learns()).flat_map(|learner| {
            let own = learner.parameters().iter();
            let own = own.map(|(name, var)| ((learner.name(), name.as_str()), var));
            own.chain(with_names(learner))
                .map(|(name, var)| (name, var.as_tensor()))
        });
        let found = first_non_finite(named)?;
        Ok(found.map(|(part, parameter)| NonFinite::Parameter {
            part: part.to_owned(),
            parameter: parameter.to_owned(),
        }))
    }

    /// Refuses to go on to validation or a checkpoint with parameters that the latest step made infinite or NaN.
    pub(super) fn check_parameters(&self, epoch: u64) -> Result<()> {
        let Some(what) = self.parameter_fault()? else {
            return Ok(());
        };
        let (sum, count) = self.epoch_loss;
        let all = learners(&self.run.method);
        let rates: Vec<Option<f64>> = all.iter().map(|own| own.learning_rate()).collect();
        Err(TrainError::NonFinite {
            what: Box::new(what),
            epoch,
            iteration: self.counters.iteration.saturating_sub(1),
            loss: sum / count as f64,
            learning_rates: named_rates(&all, &rates),
        })
    }

    /// Lets the optimisers move the parameters. An error or a panic in between leaves weights that no step has made.
    fn move_parameters(&mut self, gradients: &mut GradStore, rates: &[Option<f64>]) -> Result<()> {
        self.is_torn = true;
        for (learner, rate) in learners_mut(&mut self.run.method).into_iter().zip(rates) {
            if let Some(rate) = rate {
                learner.step(gradients, *rate)?;
            }
        }
        if let Some(ema) = &mut self.ema {
            ema.update(self.counters.made() + 1)?;
        }
        if let Some(scale) = &mut self.loss_scale {
            scale.grow();
        }
        self.is_torn = false;
        Ok(())
    }
}

/// What optimisers whose turn it is move.
fn learning(learners: &[&Learner], rates: &[Option<f64>]) -> Vec<Var> {
    let all = learners.iter().zip(rates);
    let own = all.filter(|(_, rate)| rate.is_some());
    own.flat_map(|(learner, _)| learner.moved().cloned())
        .collect()
}

/// What the optimiser moves, under the names of learner and parameter.
fn with_names(learner: &Learner) -> impl Iterator<Item = ((&str, &str), &Var)> {
    let names = learner.parameters().iter();
    let names = names.map(|(name, _)| (learner.name(), name.as_str()));
    names.zip(learner.moved())
}

fn named_rates(learners: &[&Learner], rates: &[Option<f64>]) -> Vec<(String, f64)> {
    let all = learners.iter().zip(rates);
    all.filter_map(|(learner, rate)| Some((learner.name().to_owned(), (*rate)?)))
        .collect()
}
