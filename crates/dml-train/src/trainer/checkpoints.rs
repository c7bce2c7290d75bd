//! The folder of checkpoints of a run: which run owns it, resumption, and writing.

use std::path::Path;

use dml_core::folder_lock::FolderLock;
use tracing::info_span;

use super::Trainer;
use crate::checkpoint::{Checkpoints, DamagedCheckpoint, Latest};
use crate::{Method, Result, TrainError, Validation};

impl<M: Method> Trainer<M> {
    /// Continues from the latest checkpoint that is whole, and returns its number of iterations; `None` if there is no
    /// checkpoint yet. Later ones that are damaged are renamed and listed by
    /// [`damaged_checkpoints`](Trainer::damaged_checkpoints).
    ///
    /// Until this has succeeded, a folder that holds checkpoints is not changed. A later [`run`](Trainer::run) returns
    /// [`TrainError::FolderInUse`] for it.
    ///
    /// The run then continues bit for bit as it would have without the interruption, given the same machine, number of
    /// threads, data and settings. The states of hooks are restored by name, and those of one name in their order.
    ///
    /// # Errors
    /// [`TrainError::NoCheckpoint`] if the run was built without checkpoints; [`TrainError::Locked`] while another run
    /// writes to the folder; [`TrainError::Damaged`] if there are checkpoints and none is whole; [`TrainError::Format`] if
    /// they were written by another version of this crate;
    /// [`TrainError::Tensors`], [`TrainError::Seeds`] or [`TrainError::OtherData`] if the checkpoint is one of another
    /// run.
    pub fn resume(&mut self) -> Result<Option<u64>> {
        let checkpoints = self.checkpoints()?.clone();
        self.owned_steps = Vec::new();
        self.damaged_checkpoints = Vec::new();
        if checkpoints.steps()?.is_empty() {
            return Ok(None);
        }
        let _lock = checkpoints.lock()?;
        let Some(Latest { snapshot, damaged }) = checkpoints.read_latest()? else {
            return Ok(None);
        };
        self.restore(snapshot)?;
        self.is_inconsistent = false;
        self.damaged_checkpoints = checkpoints.put_aside(damaged)?;
        checkpoints.sweep()?;
        self.owned_steps = checkpoints.steps()?;
        Ok(Some(self.counters.step))
    }

    /// The checkpoints that the last [`resume`](Trainer::resume) passed over because they are damaged, latest first.
    #[must_use]
    pub fn damaged_checkpoints(&self) -> &[DamagedCheckpoint] {
        &self.damaged_checkpoints
    }

    /// The checkpoints that the run was built with.
    pub(super) fn checkpoints(&self) -> Result<&Checkpoints> {
        let checkpoints = self.run.checkpoints.as_ref();
        checkpoints.ok_or_else(|| TrainError::NoCheckpoint {
            folder: Path::new("(the run was built without checkpoints)").to_owned(),
            wanted: "latest",
        })
    }

    /// Locks the folder of checkpoints. Refuses it if it holds some that this run neither wrote nor resumed from.
    pub(super) fn claim_folder(&mut self) -> Result<Option<FolderLock>> {
        let Some(checkpoints) = &self.run.checkpoints else {
            return Ok(None);
        };
        let lock = checkpoints.lock()?;
        let found = checkpoints.steps()?;
        if found.iter().any(|step| !self.owned_steps.contains(step)) {
            return Err(TrainError::FolderInUse {
                folder: checkpoints.folder().to_owned(),
            });
        }
        checkpoints.sweep()?;
        Ok(Some(lock))
    }

    /// Writes a checkpoint, if the run has checkpoints.
    pub(super) fn write_checkpoint(&mut self) -> Result<()> {
        let Some(checkpoints) = self.run.checkpoints.clone() else {
            return Ok(());
        };
        let _span = info_span!("checkpoint", step = self.counters.step).entered();
        let snapshot = self.snapshot()?;
        let best = self.run.validation.as_ref().and_then(Validation::best);
        // The checkpoint may be complete even if the removal of old ones fails.
        self.owned_steps.push(self.counters.step);
        checkpoints.write(&snapshot, best.map(|best| best.step))?;
        self.owned_steps = checkpoints.steps()?;
        Ok(())
    }
}
