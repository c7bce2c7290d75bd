//! Arrays in `.npz` files: zip archives of `.npy` files, stored or deflated, as `numpy.savez` and `savez_compressed` write.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::Crc;
use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use super::Npy;
use crate::error::shortened;
use crate::file_kind::open_regular;
use crate::{DataError, Result};

/// Most arrays of a file.
const MOST_ARRAYS: usize = 10_000;

/// A file of arrays, which are read one by one.
///
/// ```no_run
/// use dml_data::archives::Npz;
///
/// let mut file = Npz::open("features.npz")?;
/// println!("{:?}", file.names());
/// let features = file.array("x")?;
/// # Ok::<(), dml_data::DataError>(())
/// ```
#[derive(Debug)]
pub struct Npz {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
    names: Vec<String>,
    memory_limit: u64,
}

impl Npz {
    /// Opens a file whose arrays may take [`Npy::MEMORY_LIMIT`] bytes of memory each.
    ///
    /// # Errors
    /// [`DataError::Io`] if it can't be read, [`DataError::FileKind`] if it isn't a regular file,
    /// [`DataError::Malformed`] if it isn't a zip archive, or has an array twice or more than 10,000 arrays.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_within(path, Npy::MEMORY_LIMIT)
    }

    /// The same with another limit of memory.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_within(path: impl AsRef<Path>, memory_limit: u64) -> Result<Self> {
        let path = path.as_ref();
        let (file, _) = open_regular(path)?;
        let fault = |expected, found: String| DataError::Malformed {
            file: path.to_path_buf(),
            place: "archive".to_owned(),
            expected,
            found,
        };
        let archive = ZipArchive::new(BufReader::new(file));
        let archive = archive
            .map_err(|error| fault("a zip archive of arrays", shortened(&error.to_string())))?;
        if archive.len() > MOST_ARRAYS {
            return Err(fault("at most 10000 arrays", archive.len().to_string()));
        }
        if archive.has_duplicate_names() {
            return Err(fault("each array once", "a name twice".to_owned()));
        }
        let names = archive.file_names_raw().filter_map(|name| {
            let name = std::str::from_utf8(name).ok()?.strip_suffix(".npy")?;
            Some(name.to_owned())
        });
        Ok(Self {
            names: names.collect(),
            path: path.to_path_buf(),
            archive,
            memory_limit,
        })
    }

    /// The names of the arrays, without `.npy`.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The array of that name.
    ///
    /// # Errors
    /// [`DataError::Malformed`] if there is none, or it is encrypted, compressed otherwise, or damaged; and as
    /// [`Npy::parse`].
    pub fn array(&mut self, name: &str) -> Result<Npy> {
        let fault = |expected, found: String| DataError::Malformed {
            file: self.path.clone(),
            place: format!("array {:?}", shortened(name)),
            expected,
            found,
        };
        let damaged = |error: zip::result::ZipError| {
            fault("an intact zip archive", shortened(&error.to_string()))
        };
        let index = self.archive.index_for_name(&format!("{name}.npy"));
        let index = index.ok_or_else(|| {
            let found = shortened(&self.names.join(", "));
            fault("an array of that name", found)
        })?;
        let own = self.archive.by_index_raw(index).map_err(damaged)?;
        if own.encrypted() {
            return Err(fault(
                "an array that is not encrypted",
                "an encrypted one".to_owned(),
            ));
        }
        let (length, crc) = (own.size(), own.crc32());
        let method = own.compression();
        let place = self.path.join(name);
        let reader: Box<dyn Read> = if method == CompressionMethod::STORE {
            Box::new(own)
        } else if method == CompressionMethod::DEFLATE {
            Box::new(DeflateDecoder::new(own))
        } else {
            let found = format!("one compressed by {method:?}");
            return Err(fault("an array that is stored or deflated", found));
        };
        let mut checked = Checked {
            reader,
            crc: Crc::new(),
        };
        let array = Npy::from_reader(&place, &mut checked, length, self.memory_limit);
        let array = array.map_err(|error| match error {
            DataError::Io { source, .. } => {
                fault("an intact zip archive", shortened(&source.to_string()))
            }
            other => other,
        })?;
        if checked.crc.sum() != crc {
            let found = format!("{:08x}", checked.crc.sum());
            return Err(fault("the checksum of the archive", found));
        }
        Ok(array)
    }
}

/// A reader that computes the checksum of what it reads.
struct Checked<'a> {
    reader: Box<dyn Read + 'a>,
    crc: Crc,
}

impl Read for Checked<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(bytes)?;
        self.crc.update(&bytes[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
