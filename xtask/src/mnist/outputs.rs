//! The files that a run leaves behind: whole, or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;

/// The folder of a run's outputs.
#[derive(Debug)]
pub(crate) struct Outputs {
    folder: PathBuf,
}

impl Outputs {
    /// Makes the folder, and removes what an earlier run left in it: a run that fails must not seem to have ended well.
    pub(crate) fn create(folder: &Path) -> anyhow::Result<Self> {
        let shown = || folder.display().to_string();
        fs::create_dir_all(folder).with_context(shown)?;
        let pictures = super::pictures::NAMES
            .iter()
            .flat_map(|name| ["svg", "png"].map(|end| format!("{name}.{end}")));
        let others = [
            "metrics.json",
            "log.csv",
            "model.safetensors",
            "report.html",
        ];
        let others = others.map(str::to_owned);
        for name in others.into_iter().chain(pictures) {
            match fs::remove_file(folder.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(shown);
                }
                _ => {}
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Where a file of that name stands.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file beside its place and moves it there when all of it is on the disk.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.path(name);
        let shown = || format!("writing {}", path.display());
        let mut file = NamedTempFile::new_in(&self.folder).with_context(shown)?;
        file.write_all(bytes).with_context(shown)?;
        file.as_file().sync_all().with_context(shown)?;
        file.persist(&path).with_context(shown)?;
        Ok(())
    }
}

/// The training log: under the name `log.csv.part` until the run has ended, so that an interrupted one keeps its lines.
#[derive(Debug)]
pub(crate) struct Log {
    file: BufWriter<File>,
    part: PathBuf,
    whole: PathBuf,
}

impl Log {
    /// Starts the log.
    pub(crate) fn create(outputs: &Outputs) -> anyhow::Result<Self> {
        let part = outputs.path("log.csv.part");
        let file = File::create(&part).with_context(|| part.display().to_string())?;
        let mut log = Self {
            file: BufWriter::new(file),
            part,
            whole: outputs.path("log.csv"),
        };
        log.line("epoch,iteration,loss,mined,kept,seconds")?;
        Ok(log)
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, line: &str) -> anyhow::Result<()> {
        writeln!(self.file, "{line}").with_context(|| format!("writing {}", self.part.display()))
    }

    /// Ends the log: from here on it is `log.csv`.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        let shown = || format!("writing {}", self.whole.display());
        self.file.flush().with_context(shown)?;
        self.file.get_ref().sync_all().with_context(shown)?;
        fs::rename(&self.part, &self.whole).with_context(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_absent_and_old_results_are_gone() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("metrics.json"), "old")?;
        let outputs = Outputs::create(folder.path())?;
        assert!(!outputs.path("metrics.json").exists());
        let mut log = Log::create(&outputs)?;
        log.line("1,0,0.5,10,5,0.1")?;
        assert!(!outputs.path("log.csv").exists());
        log.finish()?;
        assert_eq!(
            fs::read_to_string(outputs.path("log.csv"))?.lines().count(),
            2
        );
        outputs.write("metrics.json", b"{}")?;
        assert_eq!(
            fs::read_dir(folder.path())?.count(),
            2,
            "nothing half-written is left"
        );
        Ok(())
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_an_error() {
        // The device that is always full, where a program may write to it.
        if let Ok(file) = File::options().write(true).open("/dev/full") {
            let path = PathBuf::from("/dev/full");
            let mut log = Log {
                file: BufWriter::with_capacity(0, file),
                part: path.clone(),
                whole: path,
            };
            assert!(log.line("1").unwrap_err().to_string().contains("/dev/full"));
        }
    }
}
