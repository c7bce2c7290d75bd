//! From bytes to numbers and texts.

use std::path::Path;

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
        (Kind::Real, width) => {
            let values = match width {
                2 => numbers!(u16, half),
                _ => numbers!(f32, |x| x),
            };
            NpyValues::Singles(ordered(header, values))
        }
        (Kind::Signed, width) => {
            let values = match width {
                1 => numbers!(i8, i64::from),
                2 => numbers!(i16, i64::from),
                4 => numbers!(i32, i64::from),
                _ => numbers!(i64, |x| x),
            };
            NpyValues::Integers(ordered(header, values))
        }
        (Kind::Unsigned, width) => {
            let values = match width {
                2 => numbers!(u16, i64::from),
                4 => numbers!(u32, i64::from),
                _ => {
                    // Those beyond the range of i64 turn negative.
                    let values = numbers!(u64, |x: u64| x as i64);
                    if let Some(large) = values.iter().find(|value| **value < 0) {
                        let found = (*large as u64).to_string();
                        return Err(fault("whole numbers below 2^63", found));
                    }
                    values
                }
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

/// A number of half precision: a sign, 5 bits of exponent with a bias of 15, 10 bits of fraction.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_exact() {
        let cases = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x0000, 0.0),
        ];
        for (bits, expected) in cases {
            assert_eq!(half(bits).to_bits(), f32::to_bits(expected), "{bits:#06x}");
        }
        assert!(half(0x7c00).is_infinite() && half(0x7e00).is_nan());
    }
}
