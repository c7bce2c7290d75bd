//! The training history: what is printed, logged and kept of iterations and epochs.

use std::cell::{Ref, RefCell};
use std::rc::Rc;
use std::time::Instant;

use dml::train::{self, Ended, Epoch, Flow, Hook, HookResult, Method};
use dml_program::{println, terminal};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::iteration_log::{Iteration, IterationLog};

/// Every how many iterations a line is printed, as in the example.
const PRINT_EVERY: u64 = 20;

/// A hook that records the history. Clones share it, so that it can be read after the run.
#[derive(Clone, Debug)]
pub(crate) struct History(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    log: IterationLog,
    bar: ProgressBar,
    has_miner: bool,
    start: Instant,
    /// Seconds of training before the interruption.
    before: f64,
    /// Seconds of validation, which are not training.
    validation: f64,
    iterations: Vec<Iteration>,
    /// Epochs and their Precision@1.
    precisions: Vec<(u64, f64)>,
}

/// The hook's state in a checkpoint; the iterations are in the log.
#[derive(Debug, Serialize, Deserialize)]
struct SavedState {
    log: Value,
    seconds: f64,
    validation_seconds: f64,
    precisions: Vec<(u64, f64)>,
}

impl History {
    /// The empty history of a run of this many iterations.
    pub(crate) fn new(log: IterationLog, iterations: u64, has_miner: bool) -> Self {
        Self(Rc::new(RefCell::new(State {
            log,
            bar: progress_bar(iterations),
            has_miner,
            start: Instant::now(),
            before: 0.0,
            validation: 0.0,
            iterations: Vec::new(),
            precisions: Vec::new(),
        })))
    }

    /// Seconds of training, those before an interruption included.
    pub(crate) fn seconds(&self) -> f64 {
        self.0.borrow().seconds()
    }

    /// Seconds of validation, those before an interruption included.
    pub(crate) fn validation_seconds(&self) -> f64 {
        self.0.borrow().validation
    }

    /// Takes seconds of validation off the training's.
    pub(crate) fn validated(&self, seconds: f64) {
        self.0.borrow_mut().validation += seconds;
    }

    /// Whether all iterations are done.
    pub(crate) fn is_complete(&self) -> bool {
        let state = self.0.borrow();
        Some(state.iterations.len() as u64) == state.bar.length()
    }

    /// Every iteration, those before an interruption included.
    pub(crate) fn iterations(&self) -> Ref<'_, [Iteration]> {
        Ref::map(self.0.borrow(), |state| state.iterations.as_slice())
    }

    /// Precision@1 after every epoch up to the last one where it was measured, NaN where it was not.
    pub(crate) fn precisions(&self) -> Vec<f64> {
        let measured = &self.0.borrow().precisions;
        let last = measured.last().map_or(0, |(epoch, _)| *epoch);
        let of = |epoch| measured.iter().find(|(own, _)| *own == epoch);
        (1..=last)
            .map(|epoch| of(epoch).map_or(f64::NAN, |(_, value)| *value))
            .collect()
    }

    /// Ends the log.
    pub(crate) fn finish_log(&self) -> anyhow::Result<()> {
        self.0.borrow_mut().log.finish()
    }
}

impl State {
    fn seconds(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64() - self.validation
    }
}

impl Hook for History {
    fn name(&self) -> &str {
        "history"
    }

    fn iteration(&mut self, done: &train::Iteration, _: &dyn Method) -> HookResult {
        let mut state = self.0.borrow_mut();
        let done = Iteration {
            epoch: done.epoch,
            iteration: done.iteration,
            loss: done.loss as f32,
            mined: done.mined.unwrap_or(done.total),
            kept: done.kept,
            seconds: state.seconds(),
        };
        state.iterations.push(done);
        state.bar.inc(1);
        state.bar.set_message(format!("loss {:.4}", done.loss));
        if done.iteration.is_multiple_of(PRINT_EVERY) {
            let has_miner = state.has_miner;
            state.bar.suspend(|| print_iteration(&done, has_miner));
        }
        state.log.push(&done)?;
        // Whoever closed the output wants no more of it, and a checkpoint keeps what there is.
        Ok(match terminal::failure() {
            Some(_) => Flow::Stop,
            None => Flow::Continue,
        })
    }

    fn epoch(&mut self, done: &Epoch, _: &dyn Method) -> HookResult {
        let mut state = self.0.borrow_mut();
        if let Some(precision) = done.validation {
            let epoch = done.epoch;
            state.precisions.push((epoch, precision));
            state
                .bar
                .suspend(|| println!("Epoch {epoch}: Precision@1 = {precision}"));
        }
        Ok(Flow::Continue)
    }

    fn state(&mut self) -> HookResult<Value> {
        let mut state = self.0.borrow_mut();
        Ok(serde_json::to_value(SavedState {
            log: state.log.state()?,
            seconds: state.seconds(),
            validation_seconds: state.validation,
            precisions: state.precisions.clone(),
        })?)
    }

    fn load_state(&mut self, saved: &Value) -> HookResult<()> {
        let saved = SavedState::deserialize(saved)?;
        let mut state = self.0.borrow_mut();
        state.iterations = state.log.resume(&saved.log)?;
        state.precisions = saved.precisions;
        // The clock runs through validations, which are taken off it.
        state.before = saved.seconds + saved.validation_seconds;
        state.validation = saved.validation_seconds;
        state.start = Instant::now();
        state.bar.set_position(state.iterations.len() as u64);
        state.bar.reset_eta();
        Ok(())
    }

    fn finish(&mut self, _: Ended) -> HookResult<()> {
        self.0.borrow().bar.finish_and_clear();
        Ok(())
    }
}

fn print_iteration(done: &Iteration, has_miner: bool) {
    let what = if has_miner { "mined tuples" } else { "values" };
    println!(
        "Epoch {} Iteration {}: Loss = {}, Number of {what} = {}",
        done.epoch, done.iteration, done.loss, done.mined
    );
}

/// Drawn to a terminal, and nowhere else.
fn progress_bar(iterations: u64) -> ProgressBar {
    let template = "{bar:40} {pos}/{len} iterations, {per_sec}, {msg}, {eta} left";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(iterations).with_style(style)
}
