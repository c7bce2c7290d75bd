//! Bytes of a file, read piece by piece.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use dml_core::check;

use crate::error::{ModelError, Result};

/// Opens a regular file, and gives its length.
pub(super) fn open(path: &Path) -> Result<(File, u64)> {
    let file = File::open(path).map_err(ModelError::io("open", path))?;
    let metadata = file.metadata().map_err(ModelError::io("read", path))?;
    if !metadata.is_file() {
        return Err(ModelError::format(path, "expected a regular file"));
    }
    Ok((file, metadata.len()))
}

/// `length` bytes from `offset` on, if they fit into memory.
pub(super) fn bytes(
    file: &mut (impl Read + Seek),
    path: &Path,
    offset: u64,
    length: usize,
) -> Result<Vec<u8>> {
    check::elements("bytes of a tensor", &[length], 1)?;
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.read_exact(&mut bytes))
        .map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => ModelError::format(
                path,
                format!("expected {length} bytes at {offset}, found the end of the file"),
            ),
            _ => ModelError::io("read", path)(error),
        })?;
    Ok(bytes)
}
