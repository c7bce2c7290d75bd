//! Archives that become folders.
//!
//! ```text
//! archive → .unpacking-NAME beside where its files go → what is at the top of it is moved into place
//! ```
//!
//! A folder under its final name is whole. Only regular files and folders are unpacked; a path that leads out of the
//! archive, or a link, ends it. What an interrupted run left is removed by the next one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use flate2::Crc;
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use rayon::prelude::*;
use zip::{CompressionMethod, ZipArchive};

use super::tar_members;
use crate::error::shortened;
use crate::{DataError, Result};

/// Most bytes that an archive may unpack to.
const MOST_BYTES: u64 = 1 << 40;
/// Most files of an archive.
const MOST_FILES: usize = 10_000_000;

/// Unpacks a tar archive, compressed by gzip or not, or a zip archive into `folder`.
///
/// # Errors
/// [`DataError::Malformed`] for a damaged archive, a path that leads out of it, a link or a device; [`DataError::TooLarge`]
/// for more than a tebibyte; [`DataError::Exists`] if what is at the top of the archive is there already;
/// [`DataError::Io`] if files can't be written.
pub(crate) fn into_folder(archive: &Path, folder: &Path) -> Result<()> {
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    let place = folder.join(format!(".unpacking-{name}"));
    remove(&place)?;
    fs::create_dir_all(&place).map_err(DataError::io("create", &place))?;
    let mut target = Target {
        archive,
        place: &place,
        files: Vec::new(),
        bytes: 0,
    };
    let result = match name.ends_with(".zip") {
        true => target.zip(),
        false => target.tar(name.ends_with("gz")),
    };
    let result = result.and_then(|()| {
        // What is moved into place must be on the disk, too.
        let files = target.files.par_iter();
        let sync = |path: &PathBuf| File::open(path).and_then(|file| file.sync_all());
        files.try_for_each(|path| sync(path).map_err(DataError::io("write", path)))?;
        move_in(&place, folder)
    });
    let removed = remove(&place);
    result.and(removed)
}

fn remove(place: &Path) -> Result<()> {
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(DataError::io("remove", place)(error))
        }
        _ => Ok(()),
    }
}

/// Moves everything in `place` into `folder`, if nothing of these names is there.
fn move_in(place: &Path, folder: &Path) -> Result<()> {
    let entries = fs::read_dir(place).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(DataError::io("read", place))?;
    let moves = entries
        .iter()
        .map(|entry| (entry.path(), folder.join(entry.file_name())));
    let moves: Vec<(PathBuf, PathBuf)> = moves.collect();
    if let Some((_, to)) = moves.iter().find(|(_, to)| to.symlink_metadata().is_ok()) {
        return Err(DataError::Exists { path: to.clone() });
    }
    for (from, to) in moves {
        fs::rename(&from, &to).map_err(DataError::io("rename", &from))?;
    }
    Ok(())
}

/// A folder that files of an archive are written into.
struct Target<'a> {
    archive: &'a Path,
    place: &'a Path,
    files: Vec<PathBuf>,
    bytes: u64,
}

impl Target<'_> {
    fn malformed(
        &self,
        place: &str,
        expected: &'static str,
        found: impl Into<String>,
    ) -> DataError {
        DataError::Malformed {
            file: self.archive.to_path_buf(),
            place: shortened(place),
            expected,
            found: found.into(),
        }
    }

    fn open(&self) -> Result<BufReader<File>> {
        let file = File::open(self.archive).map_err(DataError::io("read", self.archive))?;
        Ok(BufReader::with_capacity(1 << 16, file))
    }

    fn tar(&mut self, is_compressed: bool) -> Result<()> {
        let file = self.open()?;
        let reader: Box<dyn Read> = match is_compressed {
            true => Box::new(MultiGzDecoder::new(file)),
            false => Box::new(file),
        };
        let mut archive = tar::Archive::new(reader);
        let path = self.archive;
        let entries = archive.entries().map_err(DataError::io("read", path))?;
        tar_members::each(path, entries, MOST_BYTES, &mut |member, contents| {
            self.write(&member.path, contents, member.length).map(drop)
        })
    }

    fn zip(&mut self) -> Result<()> {
        let archive = ZipArchive::new(self.open()?);
        let damaged = |own: &Self, error: zip::result::ZipError| {
            own.malformed(
                "archive",
                "an intact zip archive",
                shortened(&error.to_string()),
            )
        };
        let mut archive = archive.map_err(|error| damaged(self, error))?;
        for index in 0..archive.len() {
            let file = archive
                .by_index_raw(index)
                .map_err(|error| damaged(self, error))?;
            let name = String::from_utf8_lossy(file.name_raw()).into_owned();
            if file.is_dir() {
                continue;
            }
            if file.is_symlink() || file.encrypted() {
                return Err(self.malformed(&name, "a regular file or a folder", "something else"));
            }
            let path = Path::new(&name);
            let is_inner = path
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            if !is_inner || name.is_empty() || name.contains(['\\', '\0']) {
                let expected = "a path that stays within the archive";
                return Err(self.malformed(&name, expected, "one that leads out of it"));
            }
            let (length, crc, method) = (file.size(), file.crc32(), file.compression());
            let mut reader: Box<dyn Read> = if method == CompressionMethod::STORE {
                Box::new(file)
            } else if method == CompressionMethod::DEFLATE {
                Box::new(DeflateDecoder::new(file))
            } else {
                let found = format!("one compressed by {method:?}");
                return Err(self.malformed(&name, "a file that is stored or deflated", found));
            };
            if self.write(&name, &mut reader, length)? != crc {
                return Err(self.malformed(&name, "the checksum of the archive", "another one"));
            }
        }
        Ok(())
    }

    /// Writes a file of `length` bytes; its checksum.
    fn write(&mut self, name: &str, contents: &mut dyn Read, length: u64) -> Result<u32> {
        self.bytes = self.bytes.saturating_add(length);
        if self.bytes > MOST_BYTES {
            return Err(DataError::TooLarge {
                file: self.archive.to_path_buf(),
                limit: MOST_BYTES,
                found: self.bytes,
            });
        }
        if self.files.len() == MOST_FILES {
            return Err(self.malformed(name, "at most 10000000 files", "more"));
        }
        let path = self.place.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(DataError::io("create", folder))?;
        }
        // A second file of a name is refused by the system.
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let mut file = BufWriter::new(file.map_err(DataError::io("create", &path))?);
        let mut reader = Checked {
            reader: contents.take(length),
            crc: Crc::new(),
            failed: false,
        };
        let copied = io::copy(&mut reader, &mut file).and_then(|count| {
            io::Write::flush(&mut file)?;
            Ok(count)
        });
        let crc = reader.crc.sum();
        match copied {
            Ok(count) if count == length => {}
            Ok(count) => {
                let found = format!("{count} bytes");
                return Err(self.malformed(name, "as many bytes as announced", found));
            }
            Err(error) if reader.failed => {
                let found = shortened(&error.to_string());
                return Err(self.malformed(name, "an intact archive", found));
            }
            Err(error) => return Err(DataError::io("write", &path)(error)),
        }
        self.files.push(path);
        Ok(crc)
    }
}

/// A reader that computes the checksum of what it reads, and remembers that it failed.
struct Checked<R> {
    reader: R,
    crc: Crc,
    failed: bool,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let result = self.reader.read(bytes);
        match &result {
            Ok(count) => self.crc.update(&bytes[..*count]),
            Err(error) => self.failed |= error.kind() != ErrorKind::Interrupted,
        }
        result
    }
}

#[cfg(test)]
mod tests;
