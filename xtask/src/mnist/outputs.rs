//! The files that a run leaves behind: whole, or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use dml::core::durable;
use dml::train::log::TensorBoard;

/// What is written last but the page: where it stands, a run has ended.
const LAST: &str = "metrics.json";
/// The folder of a run's outputs.
#[derive(Debug)]
pub(crate) struct Outputs {
    folder: PathBuf,
}

impl Outputs {
    /// Makes the folder for a run that begins, and removes what an earlier run left in it: a run that fails must not seem
    /// to have ended well.
    ///
    /// An earlier run that was interrupted keeps its folder, for it can go on.
    pub(crate) fn create(folder: &Path) -> anyhow::Result<Self> {
        let outputs = Self::open(folder);
        let shown = || folder.display().to_string();
        fs::create_dir_all(outputs.checkpoints()).with_context(shown)?;
        let kept = outputs.checkpoint_names()?;
        if !kept.is_empty() && !outputs.path(LAST).exists() {
            bail!(
                "{}: holds the checkpoints of a run that has not ended; go on with it by --resume, choose another folder by --out, or remove this one",
                folder.display()
            );
        }
        for name in kept {
            fs::remove_dir_all(outputs.checkpoints().join(name)).with_context(shown)?;
        }
        outputs.remove_results()?;
        let events = format!("tensorboard/{}", TensorBoard::FILE_NAME);
        for name in ["log.csv", "log.csv.part", &events] {
            outputs.remove(name)?;
        }
        Ok(outputs)
    }

    /// The folder of a run that goes on, as it is.
    pub(crate) fn open(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Removes all that is written when training has ended.
    pub(crate) fn remove_results(&self) -> anyhow::Result<()> {
        let pictures = super::pictures::names()
            .flat_map(|name| ["svg", "png"].map(|end| format!("{name}.{end}")));
        let others = [LAST, "model.safetensors", "report.html"].map(str::to_owned);
        for name in others.into_iter().chain(pictures) {
            self.remove(&name)?;
        }
        Ok(())
    }

    /// The folder of checkpoints.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.path("checkpoints")
    }

    /// The names of the folders of single checkpoints, whole or not.
    fn checkpoint_names(&self) -> anyhow::Result<Vec<String>> {
        let folder = self.checkpoints();
        let shown = || folder.display().to_string();
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).with_context(shown)? {
            let name = entry.with_context(shown)?.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("step-") || name.starts_with(".part-") {
                names.push(name.into_owned());
            }
        }
        Ok(names)
    }

    fn remove(&self, name: &str) -> anyhow::Result<()> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| path.display().to_string())
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
        for name in ["metrics.json", "log.csv", "log.csv.part"] {
            fs::write(folder.path().join(name), "old")?;
        }
        let outputs = Outputs::create(folder.path())?;
        assert!(!outputs.path("metrics.json").exists());
        outputs.write("metrics.json", b"{}")?;
        let names = fs::read_dir(folder.path())?.count();
        assert_eq!(names, 2, "nothing half-written or old is left");
        Ok(())
    }

    #[test]
    fn checkpoints_go_only_with_a_run_that_has_ended() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let outputs = Outputs::create(folder.path())?;
        let checkpoint = outputs.checkpoints().join("step-000000000007");
        fs::create_dir(&checkpoint)?;
        fs::write(outputs.path("log.csv.part"), "old")?;
        let error = Outputs::create(folder.path()).unwrap_err().to_string();
        assert!(error.contains("go on with it by --resume"), "{error}");
        assert!(checkpoint.exists() && outputs.path("log.csv.part").exists());
        outputs.write("metrics.json", b"{}")?;
        let own = outputs.path("notes.txt");
        fs::write(&own, "mine")?;
        Outputs::create(folder.path())?;
        assert!(!checkpoint.exists() && own.exists());
        Ok(())
    }
}
