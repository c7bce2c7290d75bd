//! The folder of a run: what is in it, and who may write to it.
//!
//! ```text
//! runs/clothing/
//!   dml.toml            configuration as resolved; `dml train --resume runs/clothing` goes on with it
//!   iterations.csv, epochs.csv
//!   checkpoints/        of the last epochs, and of the best one
//!   model/              the trained model, in its upstream format
//!   metrics.json        metrics before and after training, times, versions
//!   figures/*.svg
//!   report.html
//!   index.dml/          what `dml index runs/clothing` makes
//! ```
//!
//! Every file is whole or absent. `metrics.json` is there when the run has ended.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;
use dml::core::durable;
use dml::core::folder_lock::FolderLock;
use dml::eval::Collection;
use dml::train::{Checkpoints, CheckpointsConfig};

use crate::exit::Misuse;
use crate::shell::quoted;

/// The resolved configuration.
pub const CONFIG: &str = "dml.toml";
/// The metrics.
pub const METRICS: &str = "metrics.json";
/// Metrics of the network before training.
pub const BEFORE: &str = "metrics_before.json";
/// The folder of the model.
pub const MODEL: &str = "model";
/// The folder of the index.
pub const INDEX: &str = "index.dml";
/// The folder of the checkpoints.
pub const CHECKPOINTS: &str = "checkpoints";
/// The folder of the figures.
pub const FIGURES: &str = "figures";
/// The page.
pub const REPORT: &str = "report.html";
/// Logs of iterations and epochs.
pub const LOGS: [&str; 2] = ["iterations.csv", "epochs.csv"];

/// A folder that no other run writes to meanwhile.
#[derive(Debug)]
pub struct RunFolder {
    folder: PathBuf,
    _lock: FolderLock,
}

/// Whether a folder is that of a run.
#[must_use]
pub fn is_run(folder: &Path) -> bool {
    folder.join(CONFIG).is_file()
}

/// The folder of the model that a path names: that of a run, or the folder itself.
#[must_use]
pub fn model_of(path: &Path) -> PathBuf {
    match is_run(path) {
        true => path.join(MODEL),
        false => path.to_owned(),
    }
}

/// The folder of an index, which has to be there.
///
/// # Errors
/// [`Misuse`] for a folder without an index.
pub fn index_in(folder: PathBuf) -> anyhow::Result<PathBuf> {
    if Collection::is_collection(&folder) {
        return Ok(folder);
    }
    let shown = folder.display();
    Err(Misuse::error(format!(
        "{shown}: expected an index; `dml index` makes one"
    )))
}

impl RunFolder {
    /// Makes the folder of a run that begins. One that holds a run is refused, or cleared on request.
    ///
    /// # Errors
    /// [`Misuse`] for a folder that holds a run; a folder that can't be made or is locked by another process.
    pub fn create(folder: &Path, overwrite: bool) -> anyhow::Result<Self> {
        if is_run(folder) && !overwrite {
            let shown = folder.display();
            return Err(Misuse::error(format!(
                "{shown}: holds a run; go on with it by --resume {}, replace it by --overwrite, or choose another folder by --out",
                quoted(folder)
            )));
        }
        fs::create_dir_all(folder)
            .with_context(|| format!("can't make the folder {}", folder.display()))?;
        let own = Self::open(folder)?;
        if is_run(folder) {
            own.clear()?;
        }
        Ok(own)
    }

    /// The folder of a run that goes on.
    ///
    /// # Errors
    /// A folder that is absent, or locked by another process.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let lock = FolderLock::acquire(folder)?;
        durable::sweep(folder).with_context(|| folder.display().to_string())?;
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
        })
    }

    /// Removes what an earlier run has left; other files stay.
    fn clear(&self) -> anyhow::Result<()> {
        let checkpoints = Checkpoints::new(self.path(CHECKPOINTS), CheckpointsConfig::default())?;
        if self.path(CHECKPOINTS).exists() {
            checkpoints.remove_all()?;
        }
        for name in [MODEL, INDEX, FIGURES] {
            self.remove(name, |path| fs::remove_dir_all(path))?;
        }
        let files = [METRICS, BEFORE, REPORT, LOGS[0], LOGS[1], CONFIG];
        for name in files {
            self.remove_file(name)?;
        }
        Ok(())
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// A folder that can't be written to.
    pub fn remove_file(&self, name: &str) -> anyhow::Result<()> {
        self.remove(name, |path| fs::remove_file(path))
    }

    fn remove(
        &self,
        name: &str,
        remove: impl FnOnce(&Path) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        let path = self.path(name);
        match remove(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("can't remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a file of that name stands.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    /// A disk that is full, or a folder that can't be written to.
    pub fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        write(&self.path(name), bytes)
    }
}

/// Writes a file, whole or not at all.
///
/// # Errors
/// A disk that is full, or a folder that can't be written to.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    durable::write(path, bytes).with_context(|| format!("can't write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_not_overwritten_unless_it_is_asked_for() -> anyhow::Result<()> {
        let root = tempfile::tempdir()?;
        let folder = root.path().join("a/run");
        let run = RunFolder::create(&folder, false)?;
        run.write(CONFIG, b"")?;
        run.write("notes.txt", b"mine")?;
        fs::create_dir(run.path(MODEL))?;
        drop(run);
        let refused = RunFolder::create(&folder, false).unwrap_err();
        assert_eq!(crate::exit::code(&refused), crate::exit::MISUSE);
        assert!(refused.to_string().contains("--resume"), "{refused}");
        assert!(folder.join(MODEL).exists());
        let run = RunFolder::create(&folder, true)?;
        assert!(!run.path(MODEL).exists() && !is_run(&folder));
        assert!(run.path("notes.txt").exists());
        // The lock keeps other writers out.
        assert!(RunFolder::create(&folder, true).is_err());
        assert_eq!(model_of(&folder), folder);
        run.write(CONFIG, b"")?;
        assert_eq!(model_of(&folder), folder.join(MODEL));
        Ok(())
    }
}
