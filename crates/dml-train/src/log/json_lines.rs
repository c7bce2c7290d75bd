//! One JSON object per line, for programs.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::epoch_scalars;
use super::growing_file::GrowingFile;
use crate::{Ended, Epoch, Flow, Hook, HookResult, Iteration, Method, Result};

/// Writes `{"event":"iteration","epoch":1,"iteration":0,"step":1,"loss":…}` and `{"event":"epoch",…}`, one a line.
///
/// What is no finite number is `null`, as JSON has no other word for it.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dml_train::{MetricLossOnly, Trainer, log::JsonLines};
///
/// # let folder = tempfile::tempdir()?;
/// let method = MetricLossOnly::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?)
///     .with_hook(JsonLines::new(folder.path().join("log.jsonl")))
///     .build()?;
/// trainer.run(1)?;
/// let lines = std::fs::read_to_string(folder.path().join("log.jsonl"))?;
/// assert_eq!(lines.lines().count(), 6);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct JsonLines {
    file: GrowingFile,
    every: u64,
}

impl JsonLines {
    /// Lines in the file at `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            file: GrowingFile::new(path),
            every: 1,
        }
    }

    dml_core::setters! {
        /// Writes every `iterations`-th iteration only. Default 1.
        pub fn every(self, iterations: u64) { self.every = iterations.max(1) }
    }

    fn line(&mut self, mut line: Value, scalars: Vec<(String, f64)>) -> Result<()> {
        for (name, value) in scalars {
            line[name] = json!(value);
        }
        self.file.append(format!("{line}\n").as_bytes())
    }
}

impl Hook for JsonLines {
    fn name(&self) -> &str {
        "json_lines"
    }

    fn iteration(&mut self, done: &Iteration, _: &dyn Method) -> HookResult {
        if done.step.is_multiple_of(self.every) {
            let head = json!({
                "event": "iteration",
                "epoch": done.epoch,
                "iteration": done.iteration,
                "step": done.step,
            });
            self.line(head, done.scalars())?;
        }
        Ok(Flow::Continue)
    }

    fn epoch(&mut self, done: &Epoch, _: &dyn Method) -> HookResult {
        let head = json!({"event": "epoch", "epoch": done.epoch, "step": done.step});
        self.line(head, epoch_scalars(done))?;
        self.file.flush()?;
        Ok(Flow::Continue)
    }

    fn state(&mut self) -> HookResult<Value> {
        Ok(json!(self.file.sync()?))
    }

    fn load_state(&mut self, state: &Value) -> HookResult<()> {
        Ok(self.file.rewind(state.as_u64().unwrap_or(0))?)
    }

    fn finish(&mut self, _: Ended) -> HookResult<()> {
        self.file.sync()?;
        Ok(())
    }
}
