//! Arrays as `numpy.save` writes and `numpy.load` reads them.
//!
//! ```text
//! "\x93NUMPY", version: 2 bytes, length of the header: u16 (version 1) or u32, header, numbers
//! header    a Python dictionary: 'descr' (such as '<f4'), 'fortran_order', 'shape'
//! ```
//!
//! NEP 1, <https://numpy.org/neps/nep-0001-npy-format.html>.

mod header;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use dml_core::autograd::with_slice;
use dml_core::{check, durable};
use half::f16;

use super::error::ExchangeError;
use crate::index::collection::{IdRef, Ids};
use header::{Header, Kind};

type Result<T> = std::result::Result<T, ExchangeError>;

/// Writes rows `[rows, dim]` of half, single or double precision.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::index::exchange::npy;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("rows.npy");
/// let rows = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;
/// npy::write_rows(&path, &rows)?;
/// assert_eq!(npy::read_rows(&path)?.to_vec2::<f32>()?, [[1., 2.], [3., 4.]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ExchangeError::Rows`] unless the rows are a matrix of such numbers, [`ExchangeError::Io`].
pub fn write_rows(path: &Path, rows: &Tensor) -> Result<()> {
    check::shape(rows.rank() == 2, "rows", rows, "[rows, dim]")?;
    let rows = on_cpu(rows)?;
    let shape = rows.dims();
    match rows.dtype() {
        DType::F16 => with_slice(&rows, |x| write(path, "<f2", shape, x, f16::to_le_bytes))?,
        DType::F32 => with_slice(&rows, |x| write(path, "<f4", shape, x, f32::to_le_bytes))?,
        DType::F64 => with_slice(&rows, |x| write(path, "<f8", shape, x, f64::to_le_bytes))?,
        dtype => Err(ExchangeError::Unsupported {
            what: "rows",
            expected: "half, single or double precision",
            got: format!("{dtype:?}"),
        }),
    }
}

fn on_cpu(rows: &Tensor) -> Result<Tensor> {
    Ok(rows
        .to_device(&Device::Cpu)
        .map_err(dml_core::Error::from)?)
}

/// Writes ids: whole numbers as `<u8`, texts as `<U`.
///
/// ```
/// use dml_eval::Ids;
/// use dml_eval::index::exchange::npy;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("ids.npy");
/// npy::write_ids(&path, &Ids::from(["a", "größe"]))?;
/// assert_eq!(npy::read_ids(&path)?, Ids::from(["a", "größe"]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ExchangeError::Unsupported`] for a text that ends with a zero, which `numpy` would not keep, [`ExchangeError::Io`].
pub fn write_ids(path: &Path, ids: &Ids) -> Result<()> {
    let shape = [ids.len()];
    let texts: Vec<&str> = ids
        .iter()
        .filter_map(|id| match id {
            IdRef::Text(text) => Some(text),
            IdRef::Number(_) => None,
        })
        .collect();
    if texts.is_empty() {
        let numbers = ids.iter().map(|id| match id {
            IdRef::Number(number) => number,
            IdRef::Text(_) => 0,
        });
        let numbers: Vec<u64> = numbers.collect();
        return write(path, "<u8", &shape, &numbers, u64::to_le_bytes);
    }
    if let Some(text) = texts.iter().find(|text| text.ends_with('\0')) {
        return Err(ExchangeError::Unsupported {
            what: "ids",
            expected: "texts that don't end with a zero",
            got: format!("{text:?}"),
        });
    }
    let width = texts.iter().map(|text| text.chars().count()).max();
    let width = width.unwrap_or(0).max(1);
    let mut letters = Vec::with_capacity(texts.len() * width);
    for (i, text) in texts.iter().enumerate() {
        letters.extend(text.chars().map(u32::from));
        letters.resize((i + 1) * width, 0);
    }
    write(
        path,
        &format!("<U{width}"),
        &shape,
        &letters,
        u32::to_le_bytes,
    )
}

fn write<T: Copy, const N: usize>(
    path: &Path,
    descr: &str,
    shape: &[usize],
    numbers: &[T],
    bytes: impl Fn(T) -> [u8; N],
) -> Result<()> {
    durable::write_with(path, |out| {
        out.write_all(&header::to_bytes(descr, shape))?;
        for numbers in numbers.chunks(1 << 14) {
            let piece: Vec<u8> = numbers.iter().flat_map(|x| bytes(*x)).collect();
            out.write_all(&piece)?;
        }
        Ok(())
    })
    .map_err(ExchangeError::io(path))
}

/// Reads rows `[rows, dim]` of half, single or double precision, of either byte order and in rows or columns.
///
/// # Errors
/// [`ExchangeError::Format`] unless the file is such an array, whole and with nothing behind it; [`ExchangeError::Io`].
pub fn read_rows(path: &Path) -> Result<Tensor> {
    let (header, bytes) = read(path)?;
    let [rows, dim] = header.shape[..] else {
        let expected = "an array of two dimensions";
        return Err(ExchangeError::format(path, expected, header.shown()));
    };
    // Columns one after the other are the rows of the transpose.
    let shape = if header.is_by_columns {
        (dim, rows)
    } else {
        (rows, dim)
    };
    let tensor = match header.kind {
        Kind::Float(2) => {
            let numbers = numbers(&bytes, header.is_big_endian, f16::from_le_bytes);
            Tensor::from_vec(numbers, shape, &Device::Cpu)
        }
        Kind::Float(4) => {
            let numbers = numbers(&bytes, header.is_big_endian, f32::from_le_bytes);
            Tensor::from_vec(numbers, shape, &Device::Cpu)
        }
        Kind::Float(8) => {
            let numbers = numbers(&bytes, header.is_big_endian, f64::from_le_bytes);
            Tensor::from_vec(numbers, shape, &Device::Cpu)
        }
        _ => {
            let expected = "an array of float16, float32 or float64";
            return Err(ExchangeError::format(path, expected, header.shown()));
        }
    };
    let tensor = tensor.and_then(|tensor| {
        if header.is_by_columns {
            tensor.t()?.contiguous()
        } else {
            Ok(tensor)
        }
    });
    Ok(tensor.map_err(dml_core::Error::from)?)
}

/// Reads ids: an array of one dimension, of whole numbers that are not negative, or of texts (`U` or `S`).
///
/// # Errors
/// [`ExchangeError::Format`] unless the file is such an array, whole and with nothing behind it; [`ExchangeError::Io`].
pub fn read_ids(path: &Path) -> Result<Ids> {
    let (header, bytes) = read(path)?;
    let fault = |expected, found: String| ExchangeError::format(path, expected, found);
    let &[count] = &header.shape[..] else {
        return Err(fault("an array of one dimension", header.shown()));
    };
    match header.kind {
        Kind::Signed(size) | Kind::Unsigned(size) => {
            let is_signed = matches!(header.kind, Kind::Signed(_));
            let number = |bytes: &[u8]| {
                let mut wide = [0; 8];
                for (place, byte) in bytes.iter().enumerate() {
                    let place = if header.is_big_endian {
                        size - 1 - place
                    } else {
                        place
                    };
                    wide[place] = *byte;
                }
                let number = u64::from_le_bytes(wide);
                let sign = 8 * size - 1;
                (!is_signed || number >> sign == 0).then_some(number)
            };
            let numbers = bytes.chunks_exact(size).map(number);
            let numbers: Option<Vec<u64>> = numbers.collect();
            let negative = || fault("whole numbers of at least 0", "a negative one".to_owned());
            numbers.map(Ids::from).ok_or_else(negative)
        }
        Kind::Letters(width) => {
            let letters = numbers(&bytes, header.is_big_endian, u32::from_le_bytes);
            let text = |place: usize| {
                let text = letters[place * width..][..width].iter();
                let text = text.map(|letter| char::from_u32(*letter));
                let text: Option<String> = text.collect();
                text.map(|text| text.trim_end_matches('\0').to_owned())
            };
            let texts: Option<Vec<String>> = (0..count).map(text).collect();
            let none = || fault("texts", "numbers that are no letters".to_owned());
            texts.map(Ids::from).ok_or_else(none)
        }
        Kind::Bytes(width) => {
            let text = |place: usize| {
                let text = std::str::from_utf8(&bytes[place * width..][..width]);
                text.ok().map(|text| text.trim_end_matches('\0').to_owned())
            };
            let texts: Option<Vec<String>> = (0..count).map(text).collect();
            let none = || fault("texts", "bytes that are no UTF-8".to_owned());
            texts.map(Ids::from).ok_or_else(none)
        }
        Kind::Float(_) => Err(fault("an array of whole numbers or texts", header.shown())),
    }
}

fn numbers<T, const N: usize>(
    bytes: &[u8],
    is_big_endian: bool,
    number: impl Fn([u8; N]) -> T,
) -> Vec<T> {
    let numbers = bytes.as_chunks::<N>().0.iter();
    let numbers = numbers.map(|bytes| {
        let mut bytes = *bytes;
        if is_big_endian {
            bytes.reverse();
        }
        number(bytes)
    });
    numbers.collect()
}

/// The header and the bytes behind it, of the length that the header says.
fn read(path: &Path) -> Result<(Header, Vec<u8>)> {
    let failed = ExchangeError::io(path);
    let metadata = fs::metadata(path).map_err(&failed)?;
    let none = |found: &str| ExchangeError::format(path, "a file of numpy.save", found);
    if !metadata.is_file() {
        return Err(none("something that is no file"));
    }
    let mut file = File::open(path).map_err(&failed)?;
    let (header, start) = header::read(&mut file)
        .map_err(&failed)?
        .map_err(|fault| none(&fault))?;
    let length = header.length();
    let is_whole = length.and_then(|length| length.checked_add(start));
    if is_whole != Some(metadata.len()) {
        let expected = "as many numbers as its shape says";
        let found = format!("{}, and {} bytes", header.shown(), metadata.len());
        return Err(ExchangeError::format(path, expected, found));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(&failed)?;
    if Some(bytes.len() as u64) != length {
        return Err(none("one that changes while it is read"));
    }
    Ok((header, bytes))
}

#[cfg(test)]
mod tests;
