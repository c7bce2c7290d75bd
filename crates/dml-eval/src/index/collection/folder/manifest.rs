//! Which files are the collection.
//!
//! ```text
//! manifest   64 bytes: "DMLCOLLE", version: u32, zeros: u32, generation: u64, bytes of the index and of the items: u64 each,
//!            zeros, CRC-32 of all that
//! ```
//!
//! It is replaced by renaming, and that is what makes a new generation the collection.

use std::fs;
use std::path::{Path, PathBuf};

use dml_core::durable;
use dml_core::folder_lock::FolderLock;

use crate::index::collection::error::CollectionError;

const MAGIC: &[u8; 8] = b"DMLCOLLE";
pub(super) const VERSION: u32 = 1;
const LENGTH: usize = 64;

/// Name of the manifest.
pub(super) const NAME: &str = "collection";

/// The files of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) generation: u64,
    /// Length of the index file.
    pub(super) index: u64,
    /// Length of the file of the items.
    pub(super) items: u64,
}

/// The files of a generation in a folder.
pub(super) fn index_path(folder: &Path, generation: u64) -> PathBuf {
    folder.join(format!("index-{generation}"))
}

pub(super) fn items_path(folder: &Path, generation: u64) -> PathBuf {
    folder.join(format!("items-{generation}"))
}

pub(super) fn log_path(folder: &Path, generation: u64) -> PathBuf {
    folder.join(format!("log-{generation}"))
}

/// The generation of a file by its name, if it is one of a collection.
fn generation_of(name: &str) -> Option<u64> {
    let (kind, generation) = name.split_once('-')?;
    let is_own = matches!(kind, "index" | "items" | "log");
    generation.parse().ok().filter(|_| is_own)
}

/// Whether a file of that name may be what a writer has left that was killed before it wrote a manifest.
pub(super) fn is_left_behind(name: &str) -> bool {
    generation_of(name).is_some() || name == FolderLock::FILE_NAME || name.starts_with(".tmp-dml-")
}

impl Manifest {
    pub(super) fn read(folder: &Path) -> Result<Self, CollectionError> {
        let path = folder.join(NAME);
        let none = || CollectionError::NotACollection {
            path: folder.to_owned(),
        };
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() && metadata.len() <= 4096 => {}
            Ok(_) => return Err(none()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(none()),
            Err(error) => return Err(CollectionError::io(&path)(error)),
        }
        let bytes = fs::read(&path).map_err(CollectionError::io(&path))?;
        if bytes.get(..8) != Some(MAGIC) {
            return Err(none());
        }
        let Ok(bytes) = <[u8; LENGTH]>::try_from(bytes) else {
            return Err(CollectionError::damaged(
                &path,
                "it has another length than a manifest",
            ));
        };
        let long = |at: usize| {
            let number = bytes[at..].first_chunk::<8>();
            number.map_or(0, |number| u64::from_le_bytes(*number))
        };
        let version = long(8) as u32;
        if version != VERSION {
            return Err(CollectionError::Version {
                path,
                known: VERSION,
                got: version,
            });
        }
        if u64::from(crc32fast::hash(&bytes[..LENGTH - 4])) != long(LENGTH - 8) >> 32 {
            return Err(CollectionError::damaged(&path, "it has been altered"));
        }
        Ok(Self {
            generation: long(16),
            index: long(24),
            items: long(32),
        })
    }

    pub(super) fn write(self, folder: &Path) -> Result<(), CollectionError> {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([0; 4]);
        for number in [self.generation, self.index, self.items] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.resize(LENGTH - 4, 0);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        let path = folder.join(NAME);
        durable::write(&path, &bytes).map_err(CollectionError::io(&path))
    }

    /// Removes the files of other generations, which a writer that was killed has left.
    pub(super) fn remove_others(self, folder: &Path) -> std::io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let generation = entry.file_name().to_str().and_then(generation_of);
            if generation.is_some_and(|own| own != self.generation) {
                fs::remove_file(entry.path())?;
            }
        }
        durable::sweep(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_whole_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert!(matches!(
            Manifest::read(folder),
            Err(CollectionError::NotACollection { .. })
        ));
        let manifest = Manifest {
            generation: 12,
            index: 1 << 40,
            items: 7,
        };
        manifest.write(folder).unwrap();
        assert_eq!(Manifest::read(folder).unwrap(), manifest);
        let bytes = fs::read(folder.join(NAME)).unwrap();
        for at in 0..LENGTH {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            fs::write(folder.join(NAME), &altered).unwrap();
            assert!(Manifest::read(folder).is_err(), "{at}");
            fs::write(folder.join(NAME), &bytes[..at]).unwrap();
            assert!(Manifest::read(folder).is_err(), "{at}");
        }
    }

    #[test]
    fn files_of_other_generations_go() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let names = [
            "index-3", "items-4", "log-2", "log-3", "index-x", "notes-2", "index",
        ];
        for name in names {
            fs::write(folder.join(name), "x").unwrap();
        }
        let manifest = Manifest {
            generation: 3,
            index: 1,
            items: 1,
        };
        manifest.remove_others(folder).unwrap();
        let left = fs::read_dir(folder).unwrap();
        let mut left: Vec<String> = left
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["index", "index-3", "index-x", "log-3", "notes-2"]);
    }
}
