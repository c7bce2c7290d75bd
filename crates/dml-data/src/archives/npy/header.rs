//! Headers of arrays: dictionaries in the syntax of Python.

use std::io::Read;
use std::path::Path;

use crate::error::shortened;
use crate::{DataError, Result};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Most bytes of a header; NumPy's own limit is 10,000.
const LONGEST: u32 = 1 << 16;
/// Most dimensions of an array; NumPy's own limit is 64.
const MOST_DIMS: usize = 64;

/// The kinds of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Byte,
    Signed,
    Unsigned,
    Real,
    /// Characters of 4 bytes.
    Characters,
    /// Characters of 1 byte.
    Ascii,
}

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Bytes of an element.
    pub(super) width: usize,
    pub(super) is_big: bool,
    pub(super) is_fortran: bool,
    pub(super) dims: Vec<usize>,
}

impl Header {
    /// Reads a header; also how many bytes it takes.
    pub(super) fn read(name: &Path, reader: &mut impl Read) -> Result<(Self, u64)> {
        let fault = |expected: &'static str, found: String| DataError::Malformed {
            file: name.to_path_buf(),
            place: "header".to_owned(),
            expected,
            found,
        };
        let mut bytes = |count: u32| {
            let mut bytes = Vec::new();
            reader
                .by_ref()
                .take(count.into())
                .read_to_end(&mut bytes)
                .map_err(DataError::io("read", name))?;
            match bytes.len() == count as usize {
                true => Ok(bytes),
                false => Err(fault("an array of NumPy", "the end of the file".to_owned())),
            }
        };
        let start = bytes(8)?;
        if &start[..6] != MAGIC {
            let found = format!("a file that begins with {:02x?}", &start[..6]);
            return Err(fault("an array of NumPy", found));
        }
        let (length, before) = match start[6] {
            1 => (u32::from(u16::from_le_bytes(chunk(&bytes(2)?))), 10),
            2 | 3 => (u32::from_le_bytes(chunk(&bytes(4)?)), 12),
            version => return Err(fault("version 1, 2 or 3", version.to_string())),
        };
        if length > LONGEST {
            return Err(fault("a header of at most 65536 bytes", length.to_string()));
        }
        let text = String::from_utf8(bytes(length)?);
        let text = text.map_err(|_| fault("a header in UTF-8", "other bytes".to_owned()))?;
        let header =
            Self::parse(&text).map_err(|expected| fault(expected, shortened(text.trim())))?;
        Ok((header, u64::from(before + length)))
    }

    /// Reads the dictionary; or what was expected.
    fn parse(text: &str) -> std::result::Result<Self, &'static str> {
        const FORM: &str = "a dictionary of descr, fortran_order and shape";
        let inner = text
            .trim()
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'));
        let mut rest = inner.ok_or(FORM)?.trim();
        let (mut descr, mut order, mut shape) = (None, None, None);
        while !rest.is_empty() {
            let (key, after) = quoted(rest).ok_or(FORM)?;
            let value = after
                .trim_start()
                .strip_prefix(':')
                .ok_or(FORM)?
                .trim_start();
            rest = match key {
                "descr" => {
                    if value.starts_with('[') {
                        return Err("an array of plain elements, not of structures");
                    }
                    let (own, after) = quoted(value).ok_or(FORM)?;
                    descr = Some(own);
                    after
                }
                "fortran_order" => {
                    let (own, after) = match value.strip_prefix("True") {
                        Some(after) => (true, after),
                        None => (false, value.strip_prefix("False").ok_or(FORM)?),
                    };
                    order = Some(own);
                    after
                }
                "shape" => {
                    let (own, after) = value
                        .strip_prefix('(')
                        .and_then(|value| value.split_once(')'))
                        .ok_or(FORM)?;
                    shape = Some(own);
                    after
                }
                _ => return Err(FORM),
            };
            let after = rest.trim_start();
            rest = after.strip_prefix(',').unwrap_or(after).trim_start();
        }
        let (kind, width, is_big) = element(descr.ok_or(FORM)?)?;
        let dims = shape.ok_or(FORM)?.split(',').map(str::trim);
        let dims = dims.filter(|dim| !dim.is_empty());
        // Python 2 wrote sizes as long whole numbers.
        let dims = dims.map(|dim| dim.strip_suffix('L').unwrap_or(dim).parse());
        let dims: Vec<usize> = dims
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| FORM)?;
        if dims.len() > MOST_DIMS {
            return Err("at most 64 dimensions");
        }
        Ok(Self {
            kind,
            width,
            is_big,
            is_fortran: order.ok_or(FORM)?,
            dims,
        })
    }

    /// The number of elements.
    pub(super) fn count(&self) -> Option<u64> {
        let mut dims = self.dims.iter();
        dims.try_fold(1u64, |count, dim| count.checked_mul(*dim as u64))
    }

    /// Bytes of the elements.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.count()?.checked_mul(self.width as u64)
    }

    /// Bytes of memory of the values that come of the elements.
    pub(super) fn memory(&self) -> Option<u64> {
        let each = match self.kind {
            Kind::Byte => 1,
            Kind::Signed | Kind::Unsigned => 8,
            Kind::Real => self.width,
            Kind::Characters | Kind::Ascii => self.width.checked_add(size_of::<String>() + 16)?,
        };
        // Putting them into the order of C takes a second list.
        let lists = if self.is_fortran { 2 } else { 1 };
        self.count()?.checked_mul(each as u64)?.checked_mul(lists)
    }
}

/// The bytes of a file before the elements, which are in the order of C.
pub(super) fn to_bytes(descr: &str, dims: &[usize]) -> Vec<u8> {
    let dims: String = dims.iter().map(|dim| format!("{dim}, ")).collect();
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dims}), }}");
    // NumPy aligns the elements to 64 bytes.
    let length = (MAGIC.len() + 4 + text.len() + 1).next_multiple_of(64) - MAGIC.len() - 4;
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.resize(MAGIC.len() + 4 + length - 1, b' ');
    bytes.push(b'\n');
    bytes
}

fn chunk<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

/// A text in quotes at the beginning, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text
        .chars()
        .next()
        .filter(|own| matches!(own, '\'' | '"'))?;
    text[1..].split_once(quote)
}

/// Kind, width and byte order of an element.
fn element(descr: &str) -> std::result::Result<(Kind, usize, bool), &'static str> {
    const EXPECTED: &str = "elements of whole or real numbers, truth values or texts";
    let (is_big, rest) = match descr.as_bytes().first() {
        Some(b'<' | b'|') => (false, &descr[1..]),
        Some(b'>') => (true, &descr[1..]),
        Some(b'=') => (cfg!(target_endian = "big"), &descr[1..]),
        _ => (false, descr),
    };
    let kind = rest.get(..1).ok_or(EXPECTED)?;
    if kind == "O" {
        return Err("an array of plain elements, not of Python's objects");
    }
    let size: usize = rest[1..].parse().map_err(|_| EXPECTED)?;
    let (kind, width) = match (kind, size) {
        ("b" | "u", 1) => (Kind::Byte, 1),
        ("i", 1 | 2 | 4 | 8) => (Kind::Signed, size),
        ("u", 2 | 4 | 8) => (Kind::Unsigned, size),
        ("f", 2 | 4 | 8) => (Kind::Real, size),
        ("U", 1..=LONGEST_TEXT) => (Kind::Characters, size * 4),
        ("S", 1..=LONGEST_TEXT) => (Kind::Ascii, size),
        _ => return Err(EXPECTED),
    };
    Ok((kind, width, is_big))
}

/// Most characters of a text.
const LONGEST_TEXT: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_any_order() {
        let text = "{\"shape\": (3L, 4L), 'fortran_order': True, 'descr': '>f8'}  \n";
        let expected = Header {
            kind: Kind::Real,
            width: 8,
            is_big: true,
            is_fortran: true,
            dims: vec![3, 4],
        };
        assert_eq!(Header::parse(text), Ok(expected));
    }

    #[test]
    fn headers_that_make_no_sense_are_refused() {
        for bad in [
            "",
            "{}",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': ()}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1.5,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
            "{'descr': '<f3', 'fortran_order': False, 'shape': ()}",
            "{'descr': '', 'fortran_order': False, 'shape': ()}",
            "{'descr': '<é', 'fortran_order': False, 'shape': ()}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'more': 1}",
        ] {
            assert!(Header::parse(bad).is_err(), "{bad}");
        }
        let many = "1,".repeat(65);
        let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({many})}}");
        assert_eq!(Header::parse(&text), Err("at most 64 dimensions"));
    }
}
