//! A file that `TensorBoard` draws: `tensorboard --logdir FOLDER`.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::growing_file::GrowingFile;
use super::{epoch_scalars, event};
use crate::closure::Closure;
use crate::{Ended, Epoch, Flow, Hook, HookResult, Iteration, Method, Result};

/// Writes the numbers of iterations and epochs as scalars, over the count of iterations.
///
/// A folder is a run, and its file is always called `events.out.tfevents.dml`: a run that begins anew replaces it, one
/// that is resumed goes on in it.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dml_train::{MetricLossOnly, Trainer, log::TensorBoard};
///
/// # let folder = tempfile::tempdir()?;
/// let method = MetricLossOnly::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?)
///     .with_hook(TensorBoard::new(folder.path()))
///     .build()?;
/// trainer.run(1)?;
/// assert!(folder.path().join(TensorBoard::FILE_NAME).exists());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TensorBoard {
    file: GrowingFile,
    every: u64,
    of_epochs: Vec<Box<Closure<OfEpoch>>>,
}

type OfEpoch = dyn FnMut(&dyn Method) -> HookResult<Vec<(String, f64)>>;

impl TensorBoard {
    /// What the file is called.
    pub const FILE_NAME: &str = "events.out.tfevents.dml";

    /// A file of events in `folder`.
    #[must_use]
    pub fn new(folder: impl AsRef<Path>) -> Self {
        Self {
            file: GrowingFile::new(folder.as_ref().join(Self::FILE_NAME)),
            every: 1,
            of_epochs: Vec::new(),
        }
    }

    dml_core::setters! {
        /// Writes every `iterations`-th iteration only. Default 1.
        pub fn every(self, iterations: u64) { self.every = iterations.max(1) }

        /// Also writes numbers of the model after every epoch, by name: over how many directions its embeddings spread, say.
        pub fn with_epoch_scalars(self, scalars: impl FnMut(&dyn Method) -> HookResult<Vec<(String, f64)>> + 'static) {
            self.of_epochs.push(Box::new(Closure(scalars)))
        }
    }

    fn scalars(&mut self, step: u64, scalars: &[(String, f64)]) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0.0, |now| now.as_secs_f64());
        if self.file.is_empty() {
            self.file.append(&event::version(now))?;
        }
        self.file.append(&event::scalars(now, step, scalars))
    }
}

impl Hook for TensorBoard {
    fn name(&self) -> &str {
        "tensor_board"
    }

    fn iteration(&mut self, done: &Iteration, _: &dyn Method) -> HookResult {
        if done.step.is_multiple_of(self.every) {
            self.scalars(done.step, &done.scalars())?;
            // A board that is open shows what is there.
            self.file.flush()?;
        }
        Ok(Flow::Continue)
    }

    fn epoch(&mut self, done: &Epoch, model: &dyn Method) -> HookResult {
        let mut scalars = epoch_scalars(done);
        for of_epoch in &mut self.of_epochs {
            scalars.extend((of_epoch.0)(model)?);
        }
        self.scalars(done.step, &scalars)?;
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
