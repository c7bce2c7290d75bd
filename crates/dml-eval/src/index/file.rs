//! Indexes as files: whole and unaltered, or refused.
//!
//! ```text
//! header      64 bytes: "DMLINDEX", version, kind, metric, element type, dim, rows, length of the payload,
//!             what else a kind keeps, whether there are norms, CRC-32 of all that
//! payload     the rows, one after the other
//! norms       ‖r‖² of each row, in the precision of the rows, where there are any
//! checksums   CRC-32 of every MiB of payload and norms
//! trailer     CRC-32 of the checksums
//! ```
//!
//! That is version 2. Version 1, which is still read, has neither norms nor checksums, and the CRC-32 of the payload as
//! its trailer.
//!
//! There is a row if and only if there is a coordinate, and the length of the payload is that of as many numbers as rows
//! and coordinates make; no index has more than 2³² − 1 rows. All numbers are little-endian. A file is written beside its
//! place, brought to the disk, and moved there: a reader sees the old one or the new one. When read, its length is compared
//! with what the header says before any memory is reserved.

pub(crate) mod checksums;
mod error;
mod mapped;
mod payload;
mod reading;

use std::io::Write;
use std::path::Path;

use dml_core::durable;

use checksums::ChecksumWriter;

pub use error::IndexFileError;
pub(crate) use payload::{Norms, Payload, Rows, WithNorms};
pub use reading::FileCheck;
pub(crate) use reading::{load, map};

const MAGIC: &[u8; 8] = b"DMLINDEX";
const VERSION: u32 = 2;
const HEADER: usize = 64;

pub(crate) const FLAT: u32 = 1;
pub(crate) const CUSTOM: u32 = 2;
pub(crate) const QUANTIZED: u32 = 3;
/// A graph alone, in which every row is a node: written up to version 0.1 of this crate.
pub(crate) const USEARCH: u32 = 4;
/// A graph, and which rows are which of its nodes.
pub(crate) const GRAPH: u32 = 5;

/// What a file says of its index before the rows come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// The kind of index.
    pub(crate) kind: u32,
    /// The metric, by the kind's own numbers.
    pub(crate) metric: u32,
    pub(crate) dim: u64,
    pub(crate) rows: u64,
    /// What else the kind keeps.
    pub(crate) extra: u64,
}

/// What a header says of the file itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    version: u32,
    /// The code of the element type.
    element: u32,
    /// Length of the payload in bytes.
    payload: u64,
    /// 1 if there are norms, 0 if not.
    norms: u32,
}

/// Writes an index to its place, whole or not at all.
pub(crate) fn save(
    path: &Path,
    header: Header,
    rows: &Rows<'_>,
    norms: &Norms<'_>,
) -> Result<(), IndexFileError> {
    let layout = Layout {
        version: VERSION,
        element: rows.element() as u32,
        payload: rows.length(),
        norms: u32::from(norms.are_there()),
    };
    durable::write_with(path, |out| {
        out.write_all(&header.to_bytes(layout))?;
        let mut body = ChecksumWriter::new(out);
        rows.write(&mut |bytes| body.write(bytes))?;
        norms.write(&mut |bytes| body.write(bytes))?;
        body.finish()
    })
    .map_err(IndexFileError::io(path))
}

impl Header {
    fn to_bytes(self, layout: Layout) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        put(MAGIC);
        for number in [layout.version, self.kind, self.metric, layout.element] {
            put(&number.to_le_bytes());
        }
        for number in [self.dim, self.rows, layout.payload, self.extra] {
            put(&number.to_le_bytes());
        }
        put(&layout.norms.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..HEADER - 4]);
        bytes[HEADER - 4..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; HEADER], path: &Path) -> Result<(Self, Layout), IndexFileError> {
        let short = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let long = |at: usize| u64::from(short(at)) | u64::from(short(at + 4)) << 32;
        if &bytes[..8] != MAGIC {
            return Err(IndexFileError::not_an_index(path));
        }
        let version = short(8);
        if !(1..=VERSION).contains(&version) {
            return Err(IndexFileError::Version {
                path: path.to_owned(),
                known: VERSION,
                got: version,
            });
        }
        if crc32fast::hash(&bytes[..HEADER - 4]) != short(HEADER - 4) {
            return Err(IndexFileError::checksum(path, "header"));
        }
        let header = Self {
            kind: short(12),
            metric: short(16),
            dim: long(24),
            rows: long(32),
            extra: long(48),
        };
        let layout = Layout {
            version,
            element: short(20),
            payload: long(40),
            norms: short(56),
        };
        Ok((header, layout))
    }
}

#[cfg(test)]
mod tests;
