//! Arrays in `.npy` files.
//!
//! ```text
//! \x93NUMPY  major minor  length of the header (u16, from version 2 on u32)
//! {'descr': '<f4', 'fortran_order': False, 'shape': (4, 3), }
//! the elements
//! ```
//!
//! NumPy Enhancement Proposal 1 (`numpy.lib.format`), versions 1 to 3. Elements are read in both byte orders and in the
//! order of C and of Fortran:
//!
//! | `descr` | [`NpyValues`] |
//! |---|---|
//! | `b1`, `u1` | bytes |
//! | `i1` to `i8`, `u2` to `u8` | whole numbers of 64 bits, with a sign if all of them fit |
//! | `f2`, `f4`, `f8` | real numbers of 16, 32 and 64 bits |
//! | `U`, `S` | texts |
//!
//! Structures, objects (which are pickles), complex numbers and dates are refused. Arrays are written in version 1, in the order
//! of C, with the lowest byte first.

mod elements;
mod header;

use std::io::{Read, Write};
use std::path::Path;

use dml_core::candle_core::{Device, Tensor};
use dml_core::{check, durable};
use half::f16;

use self::header::Header;
use crate::error::shortened;
use crate::file_kind::open_regular;
use crate::{DataError, Result};

/// An array, its elements in the order of C.
///
/// ```
/// use dml_data::archives::{Npy, NpyValues};
///
/// let header = "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 1), }\n";
/// let mut file = b"\x93NUMPY\x01\x00".to_vec();
/// file.extend((header.len() as u16).to_le_bytes());
/// file.extend(header.bytes());
/// file.extend([7, 0, 255, 255]);
///
/// let array = Npy::parse("x.npy", &file)?;
/// assert_eq!(array.dims(), [2, 1]);
/// assert_eq!(array.values(), &NpyValues::Integers(vec![7, -1]));
/// # Ok::<(), dml_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Npy {
    dims: Vec<usize>,
    values: NpyValues,
}

/// The elements of an array.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum NpyValues {
    /// Bytes; truth values as 0 and 1.
    Bytes(Vec<u8>),
    /// Whole numbers below 2⁶³.
    Integers(Vec<i64>),
    /// Whole numbers of at least 0, at least one of them 2⁶³ or above.
    Unsigned(Vec<u64>),
    /// Real numbers of 16 bits.
    Halves(Vec<f16>),
    /// Real numbers of 32 bits.
    Singles(Vec<f32>),
    /// Real numbers of 64 bits.
    Doubles(Vec<f64>),
    /// Texts.
    Texts(Vec<String>),
}

impl NpyValues {
    /// What the elements are, in words.
    ///
    /// ```
    /// use dml_data::archives::NpyValues;
    ///
    /// assert_eq!(NpyValues::Singles(vec![0.5]).kind(), "float32");
    /// ```
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bytes(_) => "bytes or truth values",
            Self::Integers(_) | Self::Unsigned(_) => "whole numbers",
            Self::Halves(_) => "float16",
            Self::Singles(_) => "float32",
            Self::Doubles(_) => "float64",
            Self::Texts(_) => "texts",
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bytes(own) => own.len(),
            Self::Integers(own) => own.len(),
            Self::Unsigned(own) => own.len(),
            Self::Halves(own) => own.len(),
            Self::Singles(own) => own.len(),
            Self::Doubles(own) => own.len(),
            Self::Texts(own) => own.len(),
        }
    }
}

impl Npy {
    /// An array of these sizes.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) unless there are as many elements as the sizes say.
    pub fn new(dims: impl Into<Vec<usize>>, values: NpyValues) -> dml_core::Result<Self> {
        let dims = dims.into();
        let count = dims.iter().copied().try_fold(1, usize::checked_mul);
        let expected = "sizes whose product is the number of elements";
        check::dims(count == Some(values.len()), "dims", &dims, expected)?;
        Ok(Self { dims, values })
    }

    /// Writes a file that appears whole or not at all.
    ///
    /// ```
    /// use dml_data::archives::{Npy, NpyValues};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("names.npy");
    /// let names = Npy::new([2], NpyValues::Texts(vec!["owl".into(), "vögel".into()]))?;
    /// names.write(&path)?;
    /// assert_eq!(Npy::read(&path)?, names);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DataError::Io`] if it can't be written; [`DataError::Malformed`] for a text that ends with a zero, which NumPy does not
    /// keep.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if let NpyValues::Texts(texts) = &self.values
            && let Some(text) = texts.iter().find(|text| text.ends_with('\0'))
        {
            return Err(DataError::Malformed {
                file: path.to_path_buf(),
                place: "elements".to_owned(),
                expected: "texts that don't end with a zero",
                found: shortened(&format!("{text:?}")),
            });
        }
        durable::write_with(path, |out| {
            out.write_all(&header::to_bytes(
                &elements::descr(&self.values),
                &self.dims,
            ))?;
            elements::to_bytes(&self.values, |bytes| out.write_all(bytes))
        })
        .map_err(DataError::io("write", path))
    }

    /// Most bytes of memory that [`Npy::read`] lets an array take: 16 GiB.
    pub const MEMORY_LIMIT: u64 = 1 << 34;

    /// Reads a file.
    ///
    /// # Errors
    /// [`DataError::Io`] if it can't be read, [`DataError::FileKind`] if it isn't a regular file, and as
    /// [`parse`](Self::parse).
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        Self::read_within(path, Self::MEMORY_LIMIT)
    }

    /// Reads a file whose array may take at most so many bytes of memory.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_within(path: impl AsRef<Path>, memory_limit: u64) -> Result<Self> {
        let path = path.as_ref();
        let (file, length) = open_regular(path)?;
        Self::from_reader(path, file, length, memory_limit)
    }

    /// Reads the bytes of a file; `name` is for errors.
    ///
    /// # Errors
    /// [`DataError::Malformed`] for bytes that are no array or one of a type that isn't read, [`DataError::TooLarge`] for
    /// one beyond the memory limit, [`DataError::Truncated`] and [`DataError::TrailingBytes`] unless there are as many
    /// bytes as the header says.
    pub fn parse(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Self> {
        let length = bytes.len() as u64;
        Self::from_reader(name.as_ref(), bytes, length, Self::MEMORY_LIMIT)
    }

    /// Reads an array from `reader`, which has `length` bytes.
    pub(super) fn from_reader(
        name: &Path,
        reader: impl Read,
        length: u64,
        memory_limit: u64,
    ) -> Result<Self> {
        let mut reader = reader.take(length);
        let (header, header_length) = Header::read(name, &mut reader)?;
        let size = header.bytes().unwrap_or(u64::MAX);
        // Values of fewer bits are held in more.
        let held = header.memory().unwrap_or(u64::MAX).saturating_add(size);
        if held > memory_limit {
            return Err(DataError::TooLarge {
                file: name.to_path_buf(),
                limit: memory_limit,
                found: held,
            });
        }
        let expected = header_length.saturating_add(size);
        if length < expected {
            return Err(DataError::Truncated {
                file: name.to_path_buf(),
                expected,
                found: length,
            });
        }
        if length > expected {
            return Err(DataError::TrailingBytes {
                file: name.to_path_buf(),
                expected,
            });
        }
        let mut bytes = Vec::new();
        reader
            .read_to_end(&mut bytes)
            .map_err(DataError::io("read", name))?;
        if (bytes.len() as u64) < size {
            return Err(DataError::Truncated {
                file: name.to_path_buf(),
                expected,
                found: header_length + bytes.len() as u64,
            });
        }
        let values = elements::values(name, &header, &bytes)?;
        let dims = header.dims;
        Ok(Self { dims, values })
    }

    /// The sizes of the array; none for a single value.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// The elements, the last dimension varying fastest.
    #[must_use]
    pub fn values(&self) -> &NpyValues {
        &self.values
    }

    /// The elements.
    #[must_use]
    pub fn into_values(self) -> NpyValues {
        self.values
    }

    /// The array as a tensor: `u8`, `i64`, `f16`, `f32` or `f64`.
    ///
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) for texts and for numbers of 2⁶³ or above, [`Error::Tensor`](dml_core::Error::Tensor) if the
    /// device can't hold it.
    pub fn to_tensor(&self, device: &Device) -> dml_core::Result<Tensor> {
        let dims = &*self.dims;
        Ok(match &self.values {
            NpyValues::Bytes(own) => Tensor::from_slice(own, dims, device)?,
            NpyValues::Integers(own) => Tensor::from_slice(own, dims, device)?,
            NpyValues::Halves(own) => Tensor::from_slice(own, dims, device)?,
            NpyValues::Singles(own) => Tensor::from_slice(own, dims, device)?,
            NpyValues::Doubles(own) => Tensor::from_slice(own, dims, device)?,
            NpyValues::Unsigned(_) | NpyValues::Texts(_) => {
                let reason = "expected an array of real numbers or of whole numbers below 2^63";
                return Err(dml_core::Error::unsupported("Npy::to_tensor", reason));
            }
        })
    }

    /// The elements of an array of one dimension as names of classes.
    ///
    /// # Errors
    /// [`DataError::Malformed`] for another number of dimensions, or real numbers; `name` says where the array is from.
    pub fn to_names(&self, name: impl AsRef<Path>) -> Result<Vec<String>> {
        let fault = |found: String| DataError::Malformed {
            file: name.as_ref().to_path_buf(),
            place: "labels".to_owned(),
            expected: "an array [rows] of whole numbers or texts",
            found,
        };
        if self.dims.len() != 1 {
            return Err(fault(format!("one of shape {:?}", self.dims)));
        }
        match &self.values {
            NpyValues::Bytes(own) => Ok(own.iter().map(ToString::to_string).collect()),
            NpyValues::Integers(own) => Ok(own.iter().map(ToString::to_string).collect()),
            NpyValues::Unsigned(own) => Ok(own.iter().map(ToString::to_string).collect()),
            NpyValues::Texts(own) => Ok(own.clone()),
            _ => Err(fault("one of real numbers".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests;
