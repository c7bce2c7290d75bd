//! The IDX format: arrays of whole numbers behind a header of their sizes, plain or compressed.
//!
//! ```text
//! 00 00 t n | size₁ … sizeₙ, big-endian u32 each | size₁ · … · sizeₙ numbers, big-endian, last dimension fastest
//! ```
//!
//! The type `t` is 08 for bytes, 09 for signed bytes, 0b for 16-bit and 0c for 32-bit signed integers
//! ([`IdxElement`]). Arrays of real numbers (0d, 0e) are refused.
//!
//! The format of MNIST ("The MNIST database of handwritten digits", 1998) and its successors.
//! Whether a file is compressed is seen from its first bytes, whatever its name says. The header is read first and
//! bounds everything after it, so a small file can't be made to fill the memory.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::{DataError, Result};

const GZIP: [u8; 2] = [0x1f, 0x8b];
/// What is reserved before any data was seen; beyond it, memory grows with what really comes.
const TRUSTED: u64 = 1 << 26;

/// Type of the numbers in an IDX file, with its code there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IdxElement {
    /// Bytes, 0 to 255.
    U8 = 8,
    /// Signed bytes.
    I8 = 9,
    /// Signed integers of 16 bits.
    I16 = 11,
    /// Signed integers of 32 bits.
    I32 = 12,
}

impl IdxElement {
    fn of(code: u8) -> Option<Self> {
        let all = [Self::U8, Self::I8, Self::I16, Self::I32];
        all.into_iter().find(|element| *element as u8 == code)
    }

    /// Bytes of a number.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 => 4,
        }
    }

    /// The type in words, such as `32-bit integers`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "bytes",
            Self::I8 => "signed bytes",
            Self::I16 => "16-bit integers",
            Self::I32 => "32-bit integers",
        }
    }
}

/// An array of whole numbers of any number of dimensions.
///
/// ```
/// use dml_data::Idx;
///
/// let file = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];
/// let array = Idx::parse("example", &file)?;
/// assert_eq!((array.dims(), array.data()), (&[2usize, 3][..], &[1u8, 2, 3, 4, 5, 6][..]));
///
/// let file = [0, 0, 12, 1, 0, 0, 0, 2, 0, 0, 1, 0, 255, 255, 255, 255]; // 32-bit integers
/// assert_eq!(Idx::parse("example", &file)?.integers(), [256, -1]);
/// # Ok::<(), dml_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    element: IdxElement,
    dims: Vec<usize>,
    data: Vec<u8>,
}

impl Idx {
    /// The most bytes that [`Idx::open`] and [`Idx::parse`] accept, uncompressed: 4 GiB.
    pub const LIMIT: u64 = 1 << 32;

    /// Reads a file, plain or compressed.
    ///
    /// # Errors
    /// [`DataError::Io`] if it can't be read; otherwise as [`Idx::parse`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(DataError::io("open", path))?;
        Self::read(path, file, Self::LIMIT)
    }

    /// Reads the bytes of a file, plain or compressed. `name` is for errors.
    ///
    /// # Errors
    /// [`DataError::Magic`], [`DataError::Truncated`], [`DataError::TrailingBytes`], [`DataError::TooLarge`] and
    /// [`DataError::Gzip`], as their names say.
    pub fn parse(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Self> {
        Self::read(name.as_ref(), bytes, Self::LIMIT)
    }

    /// Reads from anything, at most `limit` uncompressed bytes. `name` is for errors.
    ///
    /// # Errors
    /// As [`Idx::open`].
    pub fn read(name: impl AsRef<Path>, source: impl Read, limit: u64) -> Result<Self> {
        let name = name.as_ref();
        with_plain_bytes(name, source, |plain| read_plain(name, plain, limit))?
    }

    /// The size of each dimension.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Type of the numbers.
    #[must_use]
    pub fn element(&self) -> IdxElement {
        self.element
    }

    /// All numbers, last dimension fastest.
    #[must_use]
    pub fn integers(&self) -> Vec<i64> {
        match self.element {
            IdxElement::U8 => self.data.iter().map(|&x| x.into()).collect(),
            IdxElement::I8 => self.data.iter().map(|&x| (x as i8).into()).collect(),
            IdxElement::I16 => {
                let (numbers, _) = self.data.as_chunks();
                numbers
                    .iter()
                    .map(|x| i16::from_be_bytes(*x).into())
                    .collect()
            }
            IdxElement::I32 => {
                let (numbers, _) = self.data.as_chunks();
                numbers
                    .iter()
                    .map(|x| i32::from_be_bytes(*x).into())
                    .collect()
            }
        }
    }

    /// All bytes as they stand in the file: [`IdxElement::size`] a number, big-endian, last dimension fastest.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// All bytes, without a copy.
    #[must_use]
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// What stands before the data in an uncompressed file.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        let mut header = vec![0, 0, self.element as u8, self.dims.len() as u8];
        for &dim in &self.dims {
            header.extend((dim as u32).to_be_bytes());
        }
        header
    }
}

/// Hands `f` the uncompressed bytes of `source`.
pub(crate) fn with_plain_bytes<T>(
    name: &Path,
    source: impl Read,
    f: impl FnOnce(&mut dyn Read) -> T,
) -> Result<T> {
    let mut source = BufReader::with_capacity(1 << 16, source);
    let mut start = Vec::with_capacity(2);
    source
        .by_ref()
        .take(2)
        .read_to_end(&mut start)
        .map_err(DataError::io("read", name))?;
    let compressed = start == GZIP;
    let mut whole = io::Cursor::new(start).chain(source);
    Ok(if compressed {
        f(&mut MultiGzDecoder::new(whole))
    } else {
        f(&mut whole)
    })
}

fn read_plain(name: &Path, plain: &mut dyn Read, limit: u64) -> Result<Idx> {
    let mut read_up_to = |count: u64, into: &mut Vec<u8>| {
        match (&mut *plain).take(count).read_to_end(into) {
            Ok(_) => Ok(()),
            // A compressed file that stops early: the length tells it.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(e) => Err(read_error(name, e)),
        }
    };
    let truncated = |expected, found: usize| DataError::Truncated {
        file: name.to_path_buf(),
        expected,
        found: found as u64,
    };

    let mut header = Vec::with_capacity(16);
    read_up_to(4, &mut header)?;
    let magic = match *header.as_slice() {
        [0, 0, code, rank] if rank > 0 => IdxElement::of(code).map(|element| (element, rank)),
        _ => None,
    };
    let Some((element, rank)) = magic else {
        return Err(DataError::Magic {
            file: name.to_path_buf(),
            found: header,
        });
    };
    let header_len = 4 + 4 * u64::from(rank);
    read_up_to(header_len - 4, &mut header)?;
    if (header.len() as u64) < header_len {
        return Err(truncated(header_len, header.len()));
    }
    let (dims, _) = header[4..].as_chunks();
    let dims: Vec<usize> = dims
        .iter()
        .map(|dim| u32::from_be_bytes(*dim) as usize)
        .collect();
    let expected = dims
        .iter()
        .try_fold(element.size() as u64, |product, &dim| {
            product.checked_mul(dim as u64)
        })
        .and_then(|product| product.checked_add(header_len))
        .unwrap_or(u64::MAX);
    if expected > limit {
        return Err(DataError::TooLarge {
            file: name.to_path_buf(),
            limit,
            found: expected,
        });
    }

    let count = expected - header_len;
    let mut data = Vec::with_capacity(count.min(TRUSTED) as usize);
    read_up_to(count, &mut data)?;
    if (data.len() as u64) < count {
        return Err(truncated(expected, header.len() + data.len()));
    }
    // Reading to the end also makes the decoder compare its checksum.
    match plain.read(&mut [0]) {
        Ok(0) => Ok(Idx {
            element,
            dims,
            data,
        }),
        Ok(_) => Err(DataError::TrailingBytes {
            file: name.to_path_buf(),
            expected,
        }),
        Err(e) => Err(read_error(name, e)),
    }
}

fn read_error(name: &Path, source: io::Error) -> DataError {
    match source.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            DataError::Gzip {
                file: name.to_path_buf(),
                source,
            }
        }
        _ => DataError::io("read", name)(source),
    }
}

#[cfg(test)]
mod tests;
