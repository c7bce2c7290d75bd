//! Where a run can be taken up again.
//!
//! A checkpoint is a folder `step-N` of two files: `tensors.safetensors` with parameters, buffers, moments and averages,
//! and `state.json` with counters, positions of random sequences, schedules, and what hooks remember. It is written
//! under another name, brought to the disk, and then renamed: at any moment, whatever happens to process or machine, a
//! folder of that name is whole. If a disk damages one later, a run is taken up at the one before, and the damaged folder
//! is called `damaged-N` from then on.

mod fingerprint;
mod folder;
mod state;

use std::path::{Path, PathBuf};

use dml_core::check;
use tracing::warn;

use crate::{Result, TrainError};

pub(crate) use fingerprint::Fingerprint;
pub(crate) use state::{Counters, Sequence, Snapshot, State};

/// Knobs of [`Checkpoints`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointsConfig {
    /// Also after every so many iterations of a run, at least 1. Default: after epochs only.
    pub every_iterations: Option<u64>,
    /// How many of the latest stay, 1 to 4,294,967,295. Default 2.
    pub keep_last: usize,
    /// Whether the one of the best [validation](crate::Validation) stays besides. Default yes.
    pub keep_best: bool,
}

impl Default for CheckpointsConfig {
    fn default() -> Self {
        Self {
            every_iterations: None,
            keep_last: 2,
            keep_best: true,
        }
    }
}

/// A folder of [checkpoints](self), one after every epoch at least. It belongs to one run.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    config: CheckpointsConfig,
}

impl Checkpoints {
    /// Checkpoints in `folder`, which is made when the first is written.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a number of 0.
    pub fn new(folder: impl Into<PathBuf>, config: CheckpointsConfig) -> dml_core::Result<Self> {
        check::at_least_one("keep_last", config.keep_last)?;
        if let Some(every) = config.every_iterations {
            check::at_least_one("every_iterations", every as usize)?;
        }
        Ok(Self {
            folder: folder.into(),
            config,
        })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The steps of which there is a checkpoint, in order.
    ///
    /// # Errors
    /// [`TrainError::Io`] if the folder can't be read.
    pub fn steps(&self) -> Result<Vec<u64>> {
        folder::steps(&self.folder)
    }

    /// Whether it is the turn of this iteration.
    pub(crate) fn is_due(&self, step: u64) -> bool {
        let every = self.config.every_iterations;
        every.is_some_and(|every| step.is_multiple_of(every))
    }

    /// Writes a checkpoint, and removes those that need not stay.
    pub(crate) fn write(&self, snapshot: &Snapshot, best: Option<u64>) -> Result<()> {
        let step = snapshot.state.counters.step;
        folder::write(&self.folder, step, snapshot)?;
        let mut steps = self.steps()?;
        steps.retain(|other| *other != step);
        let keep = self.config.keep_last - 1;
        steps.truncate(steps.len().saturating_sub(keep));
        for old in steps {
            if !(self.config.keep_best && best == Some(old)) {
                folder::remove(&self.folder, old)?;
            }
        }
        Ok(())
    }

    /// Reads the checkpoint of a step.
    pub(crate) fn read(&self, step: u64) -> Result<Snapshot> {
        folder::read(&self.folder, step)
    }

    /// Reads the latest checkpoint that is whole, and says of which step it is; `None` if there is none at all. Later
    /// ones, which are damaged, are put aside.
    pub(crate) fn read_latest(&self) -> Result<Option<(u64, Snapshot)>> {
        let mut damaged = Vec::new();
        for step in self.steps()?.into_iter().rev() {
            match self.read(step) {
                Ok(snapshot) => {
                    for (step, fault) in damaged {
                        let aside = folder::put_aside(&self.folder, step)?;
                        warn!(step, %fault, aside = %aside.display(), "a damaged checkpoint is passed over");
                    }
                    return Ok(Some((step, snapshot)));
                }
                Err(fault) if is_damage(&fault) => damaged.push((step, fault)),
                Err(error) => return Err(error),
            }
        }
        match damaged.into_iter().next() {
            None => Ok(None),
            Some((_, fault)) => Err(fault),
        }
    }

    /// Removes what a killed run left half-written.
    pub(crate) fn sweep(&self) -> Result<()> {
        folder::sweep(&self.folder)
    }
}

/// Whether a checkpoint can't be read now and never will be: other faults of a disk may pass.
fn is_damage(error: &TrainError) -> bool {
    match error {
        TrainError::Damaged { .. } => true,
        TrainError::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
