//! The files that a run leaves behind: whole, or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use dml::core::durable;
use dml::core::folder_lock::FolderLock;
use dml::embedding_pictures;
use dml::train::log::TensorBoard;
use dml::train::{Checkpoints, CheckpointsConfig};

/// The file that marks a run that has ended; only the page is written after it.
const LAST: &str = "metrics.json";

/// The curves of the training history.
pub(crate) const CURVES: [&str; 3] = ["loss", "tuples", "precision"];

/// The names of all pictures that a run may have.
pub(crate) fn picture_names() -> impl Iterator<Item = &'static str> {
    CURVES.into_iter().chain(embedding_pictures::NAMES)
}

/// The folder of a run's outputs, which no other run writes to meanwhile.
#[derive(Debug)]
pub(crate) struct Outputs {
    folder: PathBuf,
    _lock: FolderLock,
}

/// Where the checkpoints of a run stand.
pub(crate) fn checkpoints_in(folder: &Path) -> PathBuf {
    folder.join("checkpoints")
}

impl Outputs {
    /// Makes the folder for a run that begins, and removes what an earlier run left in it: a run that fails must not seem
    /// to have ended well.
    ///
    /// An earlier run that was interrupted keeps its folder, for it can go on.
    pub(crate) fn create(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let outputs = Self::open(folder)?;
        let checkpoints = checkpoints_in(folder);
        fs::create_dir_all(&checkpoints).with_context(|| checkpoints.display().to_string())?;
        let checkpoints = Checkpoints::new(checkpoints, CheckpointsConfig::default())?;
        if !checkpoints.steps()?.is_empty() {
            if !outputs.path(LAST).exists() {
                bail!(
                    "{}: holds the checkpoints of a run that has not ended; go on with it by --resume, choose another folder by --out, or remove this one",
                    folder.display()
                );
            }
            checkpoints.remove_all()?;
        }
        outputs.remove_results()?;
        let events = format!("tensorboard/{}", TensorBoard::FILE_NAME);
        for name in ["log.csv", "log.csv.part", &events] {
            outputs.remove(name)?;
        }
        Ok(outputs)
    }

    /// The folder of a run that goes on, as it is but for temporary files of a killed run.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let lock = FolderLock::acquire(folder).context("--out")?;
        durable::sweep(folder).with_context(|| folder.display().to_string())?;
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
        })
    }

    /// Removes all that is written when training has ended.
    pub(crate) fn remove_results(&self) -> anyhow::Result<()> {
        let pictures =
            picture_names().flat_map(|name| ["svg", "png"].map(|end| format!("{name}.{end}")));
        let others = [LAST, "model.safetensors", "report.html"].map(str::to_owned);
        for name in others.into_iter().chain(pictures) {
            self.remove(&name)?;
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> anyhow::Result<()> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("can't remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Where a file of that name stands.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file, whole or not at all.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.path(name);
        durable::write(&path, bytes).with_context(|| format!("can't write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_absent_and_old_results_are_gone() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        for name in ["metrics.json", "log.csv", "log.csv.part", ".tmpAbC123"] {
            fs::write(folder.path().join(name), "old")?;
        }
        let outputs = Outputs::create(folder.path())?;
        assert!(!outputs.path("metrics.json").exists());
        outputs.write("metrics.json", b"{}")?;
        drop(outputs);
        let names = fs::read_dir(folder.path())?.count();
        assert_eq!(names, 2, "nothing half-written or old is left");
        Ok(())
    }

    #[test]
    fn checkpoints_go_only_with_a_run_that_has_ended() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let out = folder.path();
        let at = |name: &str| out.join(name);
        let checkpoint = checkpoints_in(out).join("step-000000000007");
        fs::create_dir_all(&checkpoint)?;
        fs::write(at("log.csv.part"), "old")?;
        let error = Outputs::create(out).unwrap_err().to_string();
        assert!(error.contains("go on with it by --resume"), "{error}");
        assert!(checkpoint.exists() && at("log.csv.part").exists());
        for name in ["metrics.json", "notes.txt"] {
            fs::write(at(name), "{}")?;
        }
        Outputs::create(out)?;
        assert!(!checkpoint.exists() && at("notes.txt").exists());
        Ok(())
    }

    #[test]
    fn half_a_checkpoint_is_no_run_to_go_on_with() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let part = checkpoints_in(folder.path()).join(".part-000000000001");
        fs::create_dir_all(part)?;
        Outputs::create(folder.path())?;
        Ok(())
    }

    #[test]
    fn two_runs_do_not_share_a_folder() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let first = Outputs::create(folder.path())?;
        first.write("model.safetensors", b"the first one's")?;
        for error in [Outputs::create(folder.path()), Outputs::open(folder.path())] {
            let error = format!("{:#}", error.unwrap_err());
            let own = std::process::id();
            assert!(error.contains(&format!("(process {own})")), "{error}");
            assert!(
                error.contains(&folder.path().display().to_string()),
                "{error}"
            );
        }
        assert!(first.path("model.safetensors").exists());
        Ok(())
    }
}
