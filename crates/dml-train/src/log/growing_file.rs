//! A file that only grows, and is cut back when a run is resumed at an earlier point.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use dml_core::durable;

use crate::{Result, TrainError};

/// A file to append to.
#[derive(Debug)]
pub(super) struct GrowingFile {
    path: PathBuf,
    /// Name of the finished file, if it is another.
    finished: Option<PathBuf>,
    /// Open once something was written.
    open: Option<BufWriter<File>>,
    length: u64,
}

impl GrowingFile {
    /// The file at `path`. What an earlier run left there stays until the first writing, which replaces it.
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            finished: None,
            open: None,
            length: 0,
        }
    }

    /// A file that is called `PATH.part` until [`finish`](Self::finish).
    pub(super) fn partial(path: impl Into<PathBuf>) -> Self {
        let finished = path.into();
        let mut part = finished.clone().into_os_string();
        part.push(".part");
        Self {
            finished: Some(finished),
            ..Self::new(part)
        }
    }

    /// The file that is there: the finished one if there is no part.
    fn present(&self) -> &Path {
        match &self.finished {
            Some(finished) if !self.path.exists() => finished,
            _ => &self.path,
        }
    }

    /// Whether nothing was written yet.
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Writes after what is there.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let file = match &mut self.open {
            Some(file) => file,
            none => {
                if let Some(folder) = self.path.parent() {
                    fs::create_dir_all(folder).map_err(TrainError::io("make", folder))?;
                }
                if let Some(finished) = &self.finished
                    && self.length > 0
                    && !self.path.exists()
                {
                    fs::rename(finished, &self.path)
                        .map_err(TrainError::io("write", &self.path))?;
                }
                let opened = open_at(&self.path, self.length);
                let opened = opened.map_err(TrainError::io("write", &self.path))?;
                none.insert(BufWriter::new(opened))
            }
        };
        file.write_all(bytes)
            .map_err(TrainError::io("write", &self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Hands everything to the system, so that others can read it.
    pub(super) fn flush(&mut self) -> Result<()> {
        match &mut self.open {
            None => Ok(()),
            Some(file) => file.flush().map_err(TrainError::io("write", &self.path)),
        }
    }

    /// Brings everything to the disk, and returns the length.
    pub(super) fn sync(&mut self) -> Result<u64> {
        self.flush()?;
        if let Some(file) = &self.open {
            let synced = file.get_ref().sync_data();
            synced.map_err(TrainError::io("sync", &self.path))?;
        }
        Ok(self.length)
    }

    /// Brings everything to the disk, under its last name.
    pub(super) fn finish(&mut self) -> Result<()> {
        if self.finished.is_some() && self.open.is_none() {
            // What a run that was resumed at its end has to give its name.
            self.append(&[])?;
        }
        self.sync()?;
        self.open = None;
        match &self.finished {
            None => Ok(()),
            Some(finished) => {
                durable::replace(&self.path, finished).map_err(TrainError::io("write", finished))
            }
        }
    }

    /// What was written so far.
    pub(super) fn content(&mut self) -> Result<String> {
        if self.length == 0 {
            return Ok(String::new());
        }
        self.flush()?;
        let path = self.present();
        let mut content = fs::read(path).map_err(TrainError::io("read", path))?;
        content.truncate(self.length as usize);
        String::from_utf8(content).map_err(TrainError::damaged(path))
    }

    /// Puts other content in the place of what is there: all of it, or none.
    pub(super) fn replace(&mut self, content: &[u8]) -> Result<()> {
        self.open = None;
        let written = durable::write(&self.path, content);
        written.map_err(TrainError::io("write", &self.path))?;
        self.length = content.len() as u64;
        Ok(())
    }

    /// The file's bytes, those after what was written here included; none if it is not there.
    pub(super) fn found(&self) -> Result<Vec<u8>> {
        match fs::read(self.present()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            found => found.map_err(TrainError::io("read", &self.path)),
        }
    }

    /// Goes on after `length` bytes.
    pub(super) fn rewind(&mut self, length: u64) -> Result<()> {
        self.open = None;
        let found = match fs::metadata(self.present()) {
            Err(error) if length == 0 && error.kind() == std::io::ErrorKind::NotFound => 0,
            found => found.map_err(TrainError::io("read", &self.path))?.len(),
        };
        if found < length {
            let problem = format!("expected the {length} bytes of the checkpoint, found {found}");
            return Err(TrainError::damaged(&self.path)(problem));
        }
        self.length = length;
        Ok(())
    }
}

fn open_at(path: &Path, length: u64) -> std::io::Result<File> {
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    file.set_len(length)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_grows_and_is_cut_back() -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/log.txt");
        let mut file = GrowingFile::new(&path);
        file.append(b"one ")?;
        let mark = file.sync()?;
        file.append(b"two ")?;
        drop(file);
        let mut again = GrowingFile::new(&path);
        again.rewind(mark)?;
        again.append(b"three")?;
        again.flush()?;
        assert_eq!(fs::read_to_string(&path).unwrap(), "one three");
        assert!(matches!(
            GrowingFile::new(&path).rewind(99),
            Err(TrainError::Damaged { .. })
        ));
        // A run from the start replaces what it finds.
        let mut new = GrowingFile::new(&path);
        new.append(b"new")?;
        new.flush()?;
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        Ok(())
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_an_error() {
        // The device that is always full, where a program may write to it.
        if let Ok(device) = File::options().write(true).open("/dev/full") {
            let mut file = GrowingFile {
                open: Some(BufWriter::with_capacity(0, device)),
                length: 1,
                ..GrowingFile::new("/dev/full")
            };
            let error = file.append(b"row").unwrap_err();
            assert!(error.to_string().contains("/dev/full"));
        }
    }
}
