//! From bytes to numbers and texts.

use std::io;
use std::path::Path;

use half::f16;

use super::NpyValues;
use super::header::{Header, Kind};
use crate::{DataError, Result};

/// The values of an array, in the order of C. There are as many bytes as the header says.
pub(super) fn values(name: &Path, header: &Header, bytes: &[u8]) -> Result<NpyValues> {
    let fault = |expected: &'static str, found: String| DataError::Malformed {
        file: name.to_path_buf(),
        place: "elements".to_owned(),
        expected,
        found,
    };
    let is_big = header.is_big;
    macro_rules! numbers {
        ($Type:ty, $number:expr) => {
            each(bytes, |own| match is_big {
                true => $number(<$Type>::from_be_bytes(own)),
                false => $number(<$Type>::from_le_bytes(own)),
            })
        };
    }
    Ok(match (header.kind, header.width) {
        (Kind::Byte, _) => NpyValues::Bytes(ordered(header, bytes.to_vec())),
        (Kind::Real, 8) => NpyValues::Doubles(ordered(header, numbers!(f64, |x| x))),
        (Kind::Real, 2) => NpyValues::Halves(ordered(header, numbers!(f16, |x| x))),
        (Kind::Real, _) => NpyValues::Singles(ordered(header, numbers!(f32, |x| x))),
        (Kind::Signed, width) => {
            let values = match width {
                1 => numbers!(i8, i64::from),
                2 => numbers!(i16, i64::from),
                4 => numbers!(i32, i64::from),
                _ => numbers!(i64, |x| x),
            };
            NpyValues::Integers(ordered(header, values))
        }
        (Kind::Unsigned, 8) => {
            let values = ordered(header, numbers!(u64, |x| x));
            let signed = values.iter().map(|x| i64::try_from(*x).ok());
            let signed = signed.collect::<Option<Vec<i64>>>();
            signed.map_or(NpyValues::Unsigned(values), NpyValues::Integers)
        }
        (Kind::Unsigned, width) => {
            let values = match width {
                2 => numbers!(u16, i64::from),
                _ => numbers!(u32, i64::from),
            };
            NpyValues::Integers(ordered(header, values))
        }
        (Kind::Characters, width) => {
            let texts = bytes.chunks_exact(width).map(|own| {
                let codes = each(own, |code| match is_big {
                    true => u32::from_be_bytes(code),
                    false => u32::from_le_bytes(code),
                });
                // A text that is shorter than the longest one is filled up with zeros.
                let end = codes
                    .iter()
                    .rposition(|code| *code != 0)
                    .map_or(0, |last| last + 1);
                let text = codes[..end].iter().map(|code| char::from_u32(*code));
                text.collect::<Option<String>>()
            });
            let texts = texts.collect::<Option<Vec<_>>>();
            let expected = "texts of Unicode characters";
            let texts = texts.ok_or_else(|| fault(expected, "another number".to_owned()))?;
            NpyValues::Texts(ordered(header, texts))
        }
        (Kind::Ascii, width) => {
            let texts = bytes.chunks_exact(width).map(|own| {
                let end = own
                    .iter()
                    .rposition(|byte| *byte != 0)
                    .map_or(0, |last| last + 1);
                std::str::from_utf8(&own[..end]).map(str::to_owned)
            });
            let texts = texts.collect::<std::result::Result<Vec<_>, _>>();
            let texts = texts.map_err(|_| fault("texts in UTF-8", "other bytes".to_owned()))?;
            NpyValues::Texts(ordered(header, texts))
        }
    })
}

fn each<const N: usize, T>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|own| number(*own)).collect()
}

/// The values in the order of C.
fn ordered<T: Clone>(header: &Header, values: Vec<T>) -> Vec<T> {
    let dims = &header.dims;
    if !header.is_fortran || dims.len() < 2 {
        return values;
    }
    // In the order of Fortran, the first dimension varies fastest.
    let mut strides = Vec::with_capacity(dims.len());
    let mut stride = 1usize;
    for dim in dims {
        strides.push(stride);
        stride = stride.saturating_mul(*dim);
    }
    let mut place = vec![0usize; dims.len()];
    let mut result = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        let at: usize = place
            .iter()
            .zip(&strides)
            .map(|(i, stride)| i * stride)
            .sum();
        result.push(values[at].clone());
        for (i, dim) in place.iter_mut().zip(dims).rev() {
            *i += 1;
            if *i < *dim {
                break;
            }
            *i = 0;
        }
    }
    result
}

/// Hands the bytes of the elements over, piece by piece.
pub(super) fn to_bytes(
    values: &NpyValues,
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    /// Elements of a piece.
    const PIECE: usize = 1 << 14;
    macro_rules! numbers {
        ($values:expr) => {
            $values.chunks(PIECE).try_for_each(|own| {
                write(
                    &own.iter()
                        .flat_map(|x| x.to_le_bytes())
                        .collect::<Vec<u8>>(),
                )
            })
        };
    }
    match values {
        NpyValues::Bytes(own) => write(own),
        NpyValues::Integers(own) => numbers!(own),
        NpyValues::Unsigned(own) => numbers!(own),
        NpyValues::Halves(own) => numbers!(own),
        NpyValues::Singles(own) => numbers!(own),
        NpyValues::Doubles(own) => numbers!(own),
        NpyValues::Texts(own) => {
            let width = characters(own);
            own.chunks(PIECE).try_for_each(|own| {
                let padded = own.iter().flat_map(|text| {
                    let codes = text.chars().map(u32::from);
                    codes.chain(std::iter::repeat(0)).take(width)
                });
                write(&padded.flat_map(u32::to_le_bytes).collect::<Vec<u8>>())
            })
        }
    }
}

/// The type of elements as NumPy names it.
pub(super) fn descr(values: &NpyValues) -> String {
    match values {
        NpyValues::Bytes(_) => "|u1".to_owned(),
        NpyValues::Integers(_) => "<i8".to_owned(),
        NpyValues::Unsigned(_) => "<u8".to_owned(),
        NpyValues::Halves(_) => "<f2".to_owned(),
        NpyValues::Singles(_) => "<f4".to_owned(),
        NpyValues::Doubles(_) => "<f8".to_owned(),
        NpyValues::Texts(own) => format!("<U{}", characters(own)),
    }
}

/// Characters of the longest text, at least 1.
fn characters(texts: &[String]) -> usize {
    let longest = texts.iter().map(|text| text.chars().count()).max();
    longest.unwrap_or(0).max(1)
}
