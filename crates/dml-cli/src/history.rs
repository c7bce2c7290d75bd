//! What is shown of a run while it goes on, and how long it took.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use dml::train::{Ended, Epoch, Flow, Hook, HookResult, Iteration, Method};
use dml_program::terminal;
use serde_json::{Value, json};

use crate::progress::Progress;

/// A hook that shows progress and counts seconds. Clones share it, so that it can be read after the run.
#[derive(Clone, Debug)]
pub struct History(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    progress: Progress,
    /// Name of the metric of validation.
    metric: String,
    begun: Instant,
    /// Seconds before the last interruption.
    before: f64,
}

impl History {
    /// The history of a run of that many iterations.
    #[must_use]
    pub fn new(iterations: u64, metric: &str) -> Self {
        let total = usize::try_from(iterations).unwrap_or(usize::MAX);
        Self(Rc::new(RefCell::new(State {
            progress: Progress::new("iterations", total),
            metric: metric.to_owned(),
            begun: Instant::now(),
            before: 0.0,
        })))
    }

    /// Seconds of training and validation, those before an interruption included.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        let state = self.0.borrow();
        state.before + state.begun.elapsed().as_secs_f64()
    }
}

impl Hook for History {
    fn name(&self) -> &str {
        "history"
    }

    fn iteration(&mut self, done: &Iteration, _: &dyn Method) -> HookResult {
        let note = format!("loss {:.4}", done.loss);
        self.0.borrow_mut().progress.set(done.step, &note);
        // A closed output ends the run; a checkpoint keeps its state.
        Ok(match terminal::failure() {
            Some(_) => Flow::Stop,
            None => Flow::Continue,
        })
    }

    fn epoch(&mut self, done: &Epoch, _: &dyn Method) -> HookResult {
        let state = self.0.borrow();
        let mut line = format!("epoch {}: loss {:.4}", done.epoch, done.mean_loss);
        if let Some(value) = done.validation {
            line.push_str(&format!(", {} {value:.4}", state.metric));
            if done.best.is_some_and(|(epoch, _)| epoch == done.epoch) {
                line.push_str(", the best so far");
            }
        }
        state.progress.println(&line);
        Ok(Flow::Continue)
    }

    fn state(&mut self) -> HookResult<Value> {
        Ok(json!({ "seconds": self.seconds() }))
    }

    fn load_state(&mut self, saved: &Value) -> HookResult<()> {
        let mut state = self.0.borrow_mut();
        state.before = saved["seconds"].as_f64().unwrap_or(0.0);
        state.begun = Instant::now();
        Ok(())
    }

    fn finish(&mut self, _: Ended) -> HookResult<()> {
        self.0.borrow().progress.finish();
        Ok(())
    }
}

impl History {
    /// Goes on after that many iterations of an earlier run.
    pub fn resume_at(&self, iterations: u64) {
        self.0.borrow_mut().progress.resume_at(iterations);
    }
}
