//! Folders from which a run can be resumed.
//!
//! A checkpoint is a folder `step-N` of three files: `tensors.safetensors` with parameters, buffers, moments and averages;
//! `state.json` with counters, positions of random sequences, schedules, and what hooks remember; and `manifest.json`,
//! written last, with the length and CRC-32 of the other two. It is written under another name, brought to the disk, and
//! then renamed: whatever happens to process or machine, a folder of that name is whole. When a run is resumed, every file
//! is compared with its checksum. A damaged checkpoint is passed over for the one before it and renamed to `damaged-N`;
//! see [`Trainer::damaged_checkpoints`](crate::Trainer::damaged_checkpoints).
//!
//! While a run writes checkpoints, it holds a [lock](dml_core::folder_lock) on their folder. A folder that holds checkpoints
//! is written to only by the run that wrote them, or by one that resumed from them.

mod fingerprint;
mod folder;
mod manifest;
mod state;

use std::path::{Path, PathBuf};

use dml_core::check;
use dml_core::folder_lock::FolderLock;
use dml_core::with_causes;
use tracing::warn;

use crate::config::config;
use crate::{Result, TrainError};

pub(crate) use fingerprint::Fingerprint;
pub(crate) use state::{Counters, Sequence, Snapshot, State};

config! {
    /// Configuration of [`Checkpoints`].
    #[derive(Eq)]
    pub struct CheckpointsConfig {
        /// Number of iterations from one checkpoint to the next, at least 1. There is one after every epoch, too. Default:
        /// after epochs only.
        pub every_iterations: Option<u64> = None,
        /// Number of latest checkpoints to keep, 1 to 4,294,967,295. Default 2.
        pub keep_last: usize = 2,
        /// Whether to keep the checkpoint of the best [validation](crate::Validation) as well. Default true.
        pub keep_best: bool = true,
    }
}

/// The folder of [checkpoints](self) of one run, which has at least one checkpoint per epoch.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `module(name, inputs, outputs)` is a linear layer with an optimiser, `objective()` a triplet loss.
/// use dml_train::{Checkpoints, CheckpointsConfig, MetricLossOnly, Trainer};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let trainer = || -> Result<_, Box<dyn std::error::Error>> {
///     let method = MetricLossOnly::new(module("trunk", 784, 16)?, objective()?);
///     let checkpoints = Checkpoints::new(folder, CheckpointsConfig::default())?;
///     let builder = Trainer::builder(method, digits()?, sampler()?);
///     Ok(builder.with_checkpoints(checkpoints).build()?)
/// };
/// trainer()?.run(1)?;
///
/// // Another process goes on where the first one ended.
/// let mut resumed = trainer()?;
/// assert_eq!(resumed.resume()?, Some(5));
/// resumed.run(2)?;
/// assert_eq!(resumed.steps(), 10);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    config: CheckpointsConfig,
}

impl Checkpoints {
    /// Checkpoints in `folder`, which is created with the first of them.
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

    /// The steps that have a checkpoint, in order.
    ///
    /// # Errors
    /// [`TrainError::Io`] if the folder can't be read.
    pub fn steps(&self) -> Result<Vec<u64>> {
        let found = folder::checkpoints(&self.folder)?;
        Ok(found.into_iter().map(|(step, _)| step).collect())
    }

    /// Reads the checkpoint of a step and compares its files with their checksums. Nothing in the folder is changed.
    ///
    /// # Errors
    /// [`TrainError::Damaged`] and [`TrainError::Tensors`] for what does not fit, [`TrainError::NoCheckpoint`] if there is
    /// none of that step, [`TrainError::Io`] if a file can't be read.
    pub fn verify(&self, step: u64) -> Result<()> {
        self.read(step).map(drop)
    }

    /// Removes all checkpoints, the damaged and half-written ones included, so that another run can begin here.
    ///
    /// # Errors
    /// [`TrainError::Locked`] while a run is writing to the folder; [`TrainError::Io`] if something can't be removed.
    pub fn remove_all(&self) -> Result<()> {
        let _lock = self.lock()?;
        folder::remove_all(&self.folder)
    }

    /// Whether a checkpoint is due at this iteration.
    pub(crate) fn is_due(&self, step: u64) -> bool {
        let every = self.config.every_iterations;
        every.is_some_and(|every| step.is_multiple_of(every))
    }

    /// Makes the folder and locks it.
    pub(crate) fn lock(&self) -> Result<FolderLock> {
        std::fs::create_dir_all(&self.folder).map_err(TrainError::io("make", &self.folder))?;
        FolderLock::acquire(&self.folder).map_err(TrainError::Locked)
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
        let found = folder::checkpoints(&self.folder)?;
        match found.into_iter().find(|(own, _)| *own == step) {
            Some((_, place)) => folder::read(&place, step),
            None => Err(TrainError::NoCheckpoint {
                folder: self.folder.clone(),
                wanted: "such",
            }),
        }
    }

    /// Reads the latest checkpoint that is whole; `None` if there is none at all. Nothing in the folder is changed.
    pub(crate) fn read_latest(&self) -> Result<Option<Latest>> {
        let mut damaged = Vec::new();
        for (step, place) in folder::checkpoints(&self.folder)?.into_iter().rev() {
            match folder::read(&place, step) {
                Ok(snapshot) => return Ok(Some(Latest { snapshot, damaged })),
                Err(fault) if is_damage(&fault) => damaged.push((step, fault)),
                Err(error) => return Err(error),
            }
        }
        match damaged.into_iter().next() {
            None => Ok(None),
            Some((_, fault)) => Err(fault),
        }
    }

    /// Puts the damaged checkpoints aside that were passed over, once the run has been resumed from an earlier one.
    pub(crate) fn put_aside(
        &self,
        damaged: Vec<(u64, TrainError)>,
    ) -> Result<Vec<DamagedCheckpoint>> {
        let mut aside = Vec::new();
        for (step, fault) in damaged {
            let problem = with_causes(&fault).to_string();
            let moved_to = folder::put_aside(&self.folder, step)?;
            warn!(step, problem, moved_to = %moved_to.display(), "a damaged checkpoint is passed over");
            aside.push(DamagedCheckpoint {
                step,
                problem,
                moved_to,
            });
        }
        Ok(aside)
    }

    /// Removes what a killed run left half-written.
    pub(crate) fn sweep(&self) -> Result<()> {
        folder::sweep(&self.folder)
    }
}

/// The latest checkpoint that is whole, and the damaged ones after it.
#[derive(Debug)]
pub(crate) struct Latest {
    pub(crate) snapshot: Snapshot,
    pub(crate) damaged: Vec<(u64, TrainError)>,
}

/// A checkpoint that [`Trainer::resume`](crate::Trainer::resume) passed over because it is damaged.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dml_train::{Checkpoints, CheckpointsConfig, MetricLossOnly, Trainer};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let method = MetricLossOnly::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?)
///     .with_checkpoints(Checkpoints::new(folder, CheckpointsConfig::default())?)
///     .build()?;
/// trainer.resume()?;
/// for damaged in trainer.damaged_checkpoints() {
///     println!("step {} is now {}: {}", damaged.step, damaged.moved_to.display(), damaged.problem);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DamagedCheckpoint {
    /// Number of iterations after which it was written.
    pub step: u64,
    /// What was expected and what was found.
    pub problem: String,
    /// Where it is now.
    pub moved_to: PathBuf,
}

/// Whether a checkpoint can't be read now and never will be: other faults of a disk may pass.
fn is_damage(error: &TrainError) -> bool {
    use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
    match error {
        TrainError::Damaged { .. } => true,
        TrainError::Io { source, .. } => {
            matches!(source.kind(), NotFound | NotADirectory | IsADirectory)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
