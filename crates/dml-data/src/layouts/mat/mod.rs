//! Values in MATLAB's files: the MAT format of level 5, which scipy writes, too.
//!
//! ```text
//! file      128 bytes: text, version 0x0100, "IM" (little-endian) or "MI" (big-endian); then elements
//! element   type u32, bytes u32, data, padding to 8; or, for up to 4 bytes: bytes u16 · 2¹⁶ + type, data
//! matrix    flags, dimensions, name; then what its class has: numbers, characters, cells, or fields of structs
//! ```
//!
//! MathWorks, "MAT-File Format", level 5. Numbers of all types, characters, cells and structs are read; sparse matrices,
//! objects and functions are passed over. Files of version 7.3 are HDF5, and refused. A file takes no more memory than a
//! limit, whatever it says.

mod bytes;
mod matrix;

use std::io::Read;
use std::path::Path;

use flate2::read::ZlibDecoder;

use self::bytes::{Bytes, Fault};
use self::matrix::Reader;
use crate::{DataError, Result};

/// Most bytes of a file, and of what is compressed in it.
const MOST_BYTES: usize = 1 << 28;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Real parts, column after column.
    Numbers(Vec<f64>),
    /// Characters, row after row.
    Text(String),
    Cells(Vec<Value>),
    /// The names of the fields, and their values struct after struct.
    Structs(Vec<String>, Vec<Value>),
    /// A sparse matrix, an object or a function.
    Other,
}

impl Value {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is a single one.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Numbers(numbers) => match numbers[..] {
                [number] => Some(number),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The variables of a file, by name.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Vec<(String, Value)>> {
    variables(bytes, MOST_BYTES).map_err(
        |Fault {
             at,
             expected,
             found,
         }| DataError::Malformed {
            file: path.to_path_buf(),
            place: format!("byte {at}"),
            expected,
            found,
        },
    )
}

/// The variables of a file; it and what is compressed in it may have `most` bytes each.
fn variables(file: &[u8], most: usize) -> std::result::Result<Vec<(String, Value)>, Fault> {
    let too_large = |at| {
        Fault::new(
            at,
            "contents of reasonable size",
            format!("more than {most} bytes"),
        )
    };
    if file.len() > most {
        return Err(too_large(0));
    }
    if file.starts_with(b"MATLAB 7.3") || file.starts_with(b"\x89HDF") {
        let found = "version 7.3, which is HDF5: save it with the option -v7";
        return Err(Fault::new(0, "a MAT file of version 7 or before", found));
    }
    let is_little = match file.get(124..128) {
        Some([0x00, 0x01, b'I', b'M']) => true,
        Some([0x01, 0x00, b'M', b'I']) => false,
        _ => {
            return Err(Fault::new(
                124,
                "the version of a MAT file of level 5",
                "other bytes",
            ));
        }
    };
    let mut reader = Reader::default();
    let mut rest = Bytes::new(&file[128..], 128, is_little);
    let mut found = Vec::new();
    let mut left = most;
    while !rest.is_empty() {
        let element = rest.element()?;
        match element.kind {
            bytes::COMPRESSED => {
                let mut plain = Vec::new();
                let start = element.data.at();
                let decoder = ZlibDecoder::new(element.data.all());
                let read = decoder.take(left as u64 + 1).read_to_end(&mut plain);
                if read.is_err() {
                    return Err(Fault::new(start, "intact zlib data", "damaged data"));
                }
                left = left
                    .checked_sub(plain.len())
                    .ok_or_else(|| too_large(start))?;
                let mut inner = Bytes::new(&plain, start, is_little);
                let element = inner.element()?;
                found.extend(reader.variable(&element)?);
            }
            _ => found.extend(reader.variable(&element)?),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
