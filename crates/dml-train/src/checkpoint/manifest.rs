//! The checksums of a checkpoint's files.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::state::FORMAT;
use crate::{Result, TrainError};

/// Name, length and CRC-32 of every file, and the version of the format.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    files: BTreeMap<String, Sum>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sum {
    bytes: u64,
    crc32: String,
}

impl Manifest {
    pub(super) fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let sum = |(name, bytes): (&str, &[u8])| {
            let crc32 = format!("{:08x}", crc32fast::hash(bytes));
            let bytes = bytes.len() as u64;
            (name.to_owned(), Sum { bytes, crc32 })
        };
        Self {
            format: FORMAT,
            files: files.into_iter().map(sum).collect(),
        }
    }

    /// The one text that this manifest has.
    pub(super) fn to_bytes(&self, path: &Path) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(TrainError::damaged(path))
    }

    /// Compares what stands at `path` with this, which describes the files as they are now.
    ///
    /// The texts are compared, not only what they say: a manifest that was changed in any place is not the one that was
    /// written.
    pub(super) fn check(&self, found: &[u8], path: &Path) -> Result<()> {
        if found == self.to_bytes(path)? {
            return Ok(());
        }
        let written: Self = serde_json::from_slice(found).map_err(TrainError::damaged(path))?;
        for (name, now) in &self.files {
            let Some(then) = written.files.get(name) else {
                let problem = format!("expected the checksum of {name}, found none");
                return Err(TrainError::damaged(path)(problem));
            };
            if then != now {
                let problem = format!(
                    "expected {} bytes with CRC-32 {} as when it was written, found {} bytes with CRC-32 {}",
                    then.bytes, then.crc32, now.bytes, now.crc32
                );
                let folder = path.parent().unwrap_or(path);
                return Err(TrainError::damaged(&folder.join(name))(problem));
            }
        }
        let problem = "expected the manifest as it was written, found one that was changed";
        Err(TrainError::damaged(path)(problem))
    }
}
