//! Indexes as files: whole and unaltered, or refused.
//!
//! ```text
//! header    64 bytes: "DMLINDEX", version, kind, metric, element type, dim, rows, length of the payload,
//!           what else a kind keeps, zeros, CRC-32 of all that
//! payload   the rows, one after the other
//! trailer   CRC-32 of the payload
//! ```
//!
//! There is a row if and only if there is a coordinate, and the length of the payload is that of as many numbers as rows and
//! coordinates make; no index has more than 2³² − 1 rows. All numbers are little-endian. A file is written beside its place, brought to the disk, and moved there: who reads sees
//! the old one or the new one. When read, its length is compared with what the header says before any memory is asked for.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use dml_core::durable;
use half::f16;

const MAGIC: &[u8; 8] = b"DMLINDEX";
const VERSION: u32 = 1;
const HEADER: usize = 64;
const TRAILER: usize = 4;
/// The element type of a payload that is no rows of numbers.
const BYTES: u32 = 4;

/// Why an index could not be saved or loaded.
///
/// ```
/// use dml_eval::{IndexFileError, load_index};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("notes.txt");
/// std::fs::write(&path, "no index")?;
/// assert!(matches!(load_index(&path), Err(IndexFileError::NotAnIndex { .. })));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexFileError {
    /// The system could not read or write.
    #[error("can't read or write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file does not begin as an index does.
    #[error("{}: no index file", path.display())]
    NotAnIndex {
        /// The file.
        path: PathBuf,
    },
    /// The file is of another version than this program knows.
    #[error("{}: expected version {known}, got {got}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that is known.
        known: u32,
        /// The version of the file.
        got: u32,
    },
    /// The file is shorter or longer than it says.
    #[error("{}: expected {expected} bytes, got {got}", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// The length that its header gives.
        expected: u64,
        /// Its length.
        got: u64,
    },
    /// The file is not what was written.
    #[error("{}: its {part} has been altered", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// `header` or `rows`.
        part: &'static str,
    },
    /// The file holds an index of another kind, metric or element type.
    #[error("{}: expected {expected}", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What can be loaded.
        expected: &'static str,
    },
    /// The file holds a graph of neighbours that no index can have written.
    #[error("{}: its graph {fault}", path.display())]
    Graph {
        /// The file.
        path: PathBuf,
        /// What is wrong with the graph.
        fault: &'static str,
    },
    /// The rows can't be those of an index.
    #[error("{}: expected the rows of an index", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: dml_core::Error,
    },
}

impl IndexFileError {
    pub(crate) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    fn not_an_index(path: &Path) -> Self {
        Self::NotAnIndex {
            path: path.to_owned(),
        }
    }

    fn checksum(path: &Path, part: &'static str) -> Self {
        Self::Checksum {
            path: path.to_owned(),
            part,
        }
    }

    pub(crate) fn kind(path: &Path, expected: &'static str) -> Self {
        Self::Kind {
            path: path.to_owned(),
            expected,
        }
    }

    #[cfg(feature = "usearch")]
    pub(crate) fn graph(path: &Path) -> impl Fn(&'static str) -> Self {
        move |fault| Self::Graph {
            path: path.to_owned(),
            fault,
        }
    }

    pub(crate) fn content(path: &Path) -> impl Fn(dml_core::Error) -> Self {
        move |source| Self::Content {
            path: path.to_owned(),
            source,
        }
    }
}

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

pub(crate) const FLAT: u32 = 1;
pub(crate) const CUSTOM: u32 = 2;
pub(crate) const QUANTIZED: u32 = 3;
/// A graph alone, in which every row is a node: written up to version 0.1 of this crate.
pub(crate) const USEARCH: u32 = 4;
/// A graph, and which rows are which of its nodes.
pub(crate) const GRAPH: u32 = 5;

/// The rows of an index in a file: borrowed where they are written, owned where they were read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Payload<'a> {
    None,
    F16(Cow<'a, [f16]>),
    F32(Cow<'a, [f32]>),
    F64(Cow<'a, [f64]>),
    /// What another library has written.
    Bytes(Cow<'a, [u8]>),
}

/// Bytes of a number of each element type, by the code of that type.
const SIZES: [usize; 5] = [0, 2, 4, 8, 1];

impl Payload<'_> {
    /// The code of the element type, and the length in bytes.
    fn element_and_length(&self) -> (u32, u64) {
        let (element, numbers) = match self {
            Self::None => (0, 0),
            Self::F16(rows) => (1, rows.len()),
            Self::F32(rows) => (2, rows.len()),
            Self::F64(rows) => (3, rows.len()),
            Self::Bytes(bytes) => (BYTES, bytes.len()),
        };
        (element, (SIZES[element as usize] * numbers) as u64)
    }

    /// Hands the bytes to `sink`, piece by piece.
    fn for_each_piece(&self, sink: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::F16(rows) => pieces(rows, f16::to_le_bytes, sink),
            Self::F32(rows) => pieces(rows, f32::to_le_bytes, sink),
            Self::F64(rows) => pieces(rows, f64::to_le_bytes, sink),
            Self::Bytes(bytes) => pieces(bytes, u8::to_le_bytes, sink),
        }
    }
}

fn pieces<T: Copy, const N: usize>(
    rows: &[T],
    bytes: impl Fn(T) -> [u8; N],
    mut sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut piece = Vec::new();
    for rows in rows.chunks(1 << 14) {
        piece.clear();
        piece.extend(rows.iter().flat_map(|x| bytes(*x)));
        sink(&piece)?;
    }
    Ok(())
}

/// Writes an index to its place, whole or not at all.
pub(crate) fn save(path: &Path, header: Header, rows: &Payload<'_>) -> Result<(), IndexFileError> {
    durable::write_with(path, |out| {
        out.write_all(&header.to_bytes(rows))?;
        let mut checksum = crc32fast::Hasher::new();
        rows.for_each_piece(|piece| {
            checksum.update(piece);
            out.write_all(piece)
        })?;
        out.write_all(&checksum.finalize().to_le_bytes())
    })
    .map_err(IndexFileError::io(path))
}

/// Reads what [`save`] has written.
pub(crate) fn load(path: &Path) -> Result<(Header, Payload<'static>), IndexFileError> {
    let failed = IndexFileError::io(path);
    let metadata = fs::metadata(path).map_err(&failed)?;
    if !metadata.is_file() {
        // A pipe would be waited for.
        return Err(IndexFileError::not_an_index(path));
    }
    let mut file = File::open(path).map_err(&failed)?;
    let mut bytes = [0; HEADER];
    file.read_exact(&mut bytes)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => IndexFileError::not_an_index(path),
            _ => failed(error),
        })?;
    let (header, element, length) = Header::from_bytes(&bytes, path)?;
    let check_length = |expected: u128, got: u64, is_odd: bool| {
        if expected == u128::from(got) && !is_odd {
            return Ok(());
        }
        Err(IndexFileError::Length {
            path: path.to_owned(),
            expected: u64::try_from(expected).unwrap_or(u64::MAX),
            got,
        })
    };
    let expected = u128::from(length) + (HEADER + TRAILER) as u128;
    check_length(expected, metadata.len(), false)?;
    let Some(size) = SIZES.get(element as usize) else {
        let expected = "rows of float16, float32 or float64";
        return Err(IndexFileError::kind(path, expected));
    };
    let numbers = u128::from(header.rows) * u128::from(header.dim);
    // Rows without a type of their numbers can't be there either.
    let is_odd = (header.dim == 0) != (header.rows == 0) || (*size == 0 && numbers > 0);
    check_length(numbers.saturating_mul(*size as u128), length, is_odd)?;
    // Where the payload is bytes, its rows are counted by who reads them.
    if element != BYTES && header.rows > u64::from(u32::MAX) {
        return Err(IndexFileError::kind(path, "at most 4,294,967,295 rows"));
    }
    // No more than the file has, which has been made sure of.
    let mut payload = Vec::new();
    let room = payload.try_reserve_exact(length as usize);
    room.map_err(|error| failed(io::Error::new(io::ErrorKind::OutOfMemory, error)))?;
    payload.resize(length as usize, 0);
    file.read_exact(&mut payload).map_err(&failed)?;
    let mut trailer = [0; TRAILER];
    file.read_exact(&mut trailer).map_err(&failed)?;
    if crc32fast::hash(&payload) != u32::from_le_bytes(trailer) {
        return Err(IndexFileError::checksum(path, "rows"));
    }
    let rows = match element {
        0 => Payload::None,
        1 => Payload::F16(numbers_of(&payload, f16::from_le_bytes)),
        2 => Payload::F32(numbers_of(&payload, f32::from_le_bytes)),
        BYTES => Payload::Bytes(payload.into()),
        _ => Payload::F64(numbers_of(&payload, f64::from_le_bytes)),
    };
    Ok((header, rows))
}

fn numbers_of<T: Copy, const N: usize>(
    bytes: &[u8],
    number: impl Fn([u8; N]) -> T,
) -> Cow<'static, [T]> {
    let numbers = bytes.as_chunks::<N>().0.iter();
    numbers.map(|bytes| number(*bytes)).collect()
}

impl Header {
    fn to_bytes(self, rows: &Payload<'_>) -> [u8; HEADER] {
        let (element, length) = rows.element_and_length();
        let mut bytes = [0; HEADER];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        put(MAGIC);
        for number in [VERSION, self.kind, self.metric, element] {
            put(&number.to_le_bytes());
        }
        for number in [self.dim, self.rows, length, self.extra] {
            put(&number.to_le_bytes());
        }
        let checksum = crc32fast::hash(&bytes[..HEADER - 4]);
        bytes[HEADER - 4..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header, the code of the element type, and the length of the payload.
    fn from_bytes(bytes: &[u8; HEADER], path: &Path) -> Result<(Self, u32, u64), IndexFileError> {
        let short = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let long = |at: usize| u64::from(short(at)) | u64::from(short(at + 4)) << 32;
        if &bytes[..8] != MAGIC {
            return Err(IndexFileError::not_an_index(path));
        }
        if short(8) != VERSION {
            return Err(IndexFileError::Version {
                path: path.to_owned(),
                known: VERSION,
                got: short(8),
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
        Ok((header, short(20), long(40)))
    }
}

#[cfg(test)]
mod tests;
