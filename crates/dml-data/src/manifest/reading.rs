//! Tables in files and in memory, by the ending of their name.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::kind::Kind;
use super::schema::Sink;
use super::{csv_table, json_lines};
use crate::{DataError, Result};

/// Hands the lines of a file over, by the ending of its name.
pub(crate) fn read_file(path: &Path, lines: &mut dyn Sink) -> Result<()> {
    let kind = Kind::of(path)?;
    let file = File::open(path).map_err(DataError::io("read", path))?;
    match kind {
        #[cfg(feature = "parquet")]
        Kind::Parquet => super::parquet_table::read(path, file, lines),
        kind => {
            let mut bytes = Vec::new();
            file.take(lines.memory_limit().saturating_add(1))
                .read_to_end(&mut bytes)
                .map_err(DataError::io("read", path))?;
            read_text(kind, path, &bytes, lines)
        }
    }
}

/// The same for the bytes of a file.
pub(crate) fn read_bytes(path: &Path, bytes: &[u8], lines: &mut dyn Sink) -> Result<()> {
    match Kind::of(path)? {
        #[cfg(feature = "parquet")]
        Kind::Parquet => {
            lines.held(bytes.len() as u64)?;
            let copy = bytes::Bytes::copy_from_slice(bytes);
            super::parquet_table::read(path, copy, lines)
        }
        kind => read_text(kind, path, bytes, lines),
    }
}

fn read_text(kind: Kind, path: &Path, bytes: &[u8], lines: &mut dyn Sink) -> Result<()> {
    lines.held(bytes.len() as u64)?;
    match kind {
        Kind::JsonLines => return json_lines::read(path, bytes, lines),
        Kind::Tsv => csv_table::read(path, bytes, b'\t', lines)?,
        _ => csv_table::read(path, bytes, b',', lines)?,
    }
    lines.unify_numbers();
    Ok(())
}
