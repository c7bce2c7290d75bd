//! The header of an array: what its numbers are and how many.

use std::io::{self, Read};

/// Bytes of a header at most.
const LONGEST: usize = 1 << 16;
const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// What the entries of an array are; with their sizes in bytes, or in letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Float(usize),
    Signed(usize),
    Unsigned(usize),
    /// Letters of four bytes each.
    Letters(usize),
    Bytes(usize),
}

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) descr: String,
    pub(super) kind: Kind,
    pub(super) is_big_endian: bool,
    pub(super) is_by_columns: bool,
    pub(super) shape: Vec<usize>,
}

impl Header {
    /// Bytes of all entries; `None` if these are too many to count.
    pub(super) fn length(&self) -> Option<u64> {
        let size = match self.kind {
            Kind::Float(size) | Kind::Signed(size) | Kind::Unsigned(size) | Kind::Bytes(size) => {
                size
            }
            Kind::Letters(width) => width.checked_mul(4)?,
        };
        let sizes = self.shape.iter().copied().chain([size]);
        sizes
            .map(|size| size as u64)
            .try_fold(1u64, u64::checked_mul)
    }

    /// For messages.
    pub(super) fn shown(&self) -> String {
        format!("an array of type {} and shape {:?}", self.descr, self.shape)
    }
}

/// The bytes before the numbers.
pub(super) fn to_bytes(descr: &str, shape: &[usize]) -> Vec<u8> {
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (");
    for size in shape {
        text.push_str(&format!("{size}, "));
    }
    text.push_str("), }");
    // Numbers begin at a multiple of 64 bytes.
    let length = (MAGIC.len() + 4 + text.len() + 1).next_multiple_of(64) - MAGIC.len() - 4;
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.resize(MAGIC.len() + 4 + length - 1, b' ');
    bytes.push(b'\n');
    bytes
}

/// The header at the beginning of a file, and its length; or what is there instead.
pub(super) fn read(file: &mut impl Read) -> io::Result<Result<(Header, u64), String>> {
    let mut start = [0; 8];
    if let Err(error) = file.read_exact(&mut start) {
        return if error.kind() == io::ErrorKind::UnexpectedEof {
            Ok(Err("a file that is too short".to_owned()))
        } else {
            Err(error)
        };
    }
    if start[..6] != *MAGIC {
        return Ok(Err("a file that begins otherwise".to_owned()));
    }
    let mut length = [0; 4];
    let width = match start[6] {
        1 => 2,
        2 | 3 => 4,
        version => return Ok(Err(format!("one of version {version}"))),
    };
    if file.read_exact(&mut length[..width]).is_err() {
        return Ok(Err("a file that is too short".to_owned()));
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST {
        return Ok(Err(format!("a header of {length} bytes")));
    }
    let mut text = vec![0; length];
    if file.read_exact(&mut text).is_err() {
        return Ok(Err("a file that is too short".to_owned()));
    }
    let text = String::from_utf8_lossy(&text);
    let header = parse(&text).ok_or_else(|| {
        let shown: String = text.trim().chars().take(120).collect();
        format!("the header {shown}")
    });
    Ok(header.map(|header| (header, (8 + width + length) as u64)))
}

/// A dictionary of the three entries.
fn parse(text: &str) -> Option<Header> {
    let mut rest = text.trim().strip_prefix('{')?;
    let (mut descr, mut is_by_columns, mut shape) = (None, None, None);
    loop {
        rest = rest.trim_start();
        if let Some(end) = rest.strip_prefix('}') {
            if !end.trim().is_empty() {
                return None;
            }
            break;
        }
        let (key, after) = quoted(rest)?;
        rest = after.trim_start().strip_prefix(':')?.trim_start();
        match key {
            "descr" => {
                let (value, after) = quoted(rest)?;
                (descr, rest) = (Some(value), after);
            }
            "fortran_order" => {
                let is_so = rest.strip_prefix("True").map(|after| (true, after));
                let is_not = || rest.strip_prefix("False").map(|after| (false, after));
                let (value, after) = is_so.or_else(is_not)?;
                (is_by_columns, rest) = (Some(value), after);
            }
            "shape" => {
                let (list, after) = rest.strip_prefix('(')?.split_once(')')?;
                let sizes = list
                    .split(',')
                    .map(str::trim)
                    .filter(|size| !size.is_empty());
                // Python 2 wrote long numbers with an L.
                let sizes = sizes.map(|size| size.trim_end_matches('L').parse::<usize>().ok());
                (shape, rest) = (Some(sizes.collect::<Option<Vec<usize>>>()?), after);
            }
            _ => return None,
        }
        rest = rest.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    let descr = descr?;
    let (kind, is_big_endian) = kind(descr)?;
    Some(Header {
        descr: descr.to_owned(),
        kind,
        is_big_endian,
        is_by_columns: is_by_columns?,
        shape: shape?,
    })
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text
        .chars()
        .next()
        .filter(|own| matches!(own, '\'' | '"'))?;
    text[1..].split_once(quote)
}

/// The kind of entries, and whether their bytes come with the highest one first.
fn kind(descr: &str) -> Option<(Kind, bool)> {
    let order = descr.chars().next().filter(char::is_ascii)?;
    let is_big_endian = match order {
        '<' | '|' => false,
        '>' => true,
        '=' => cfg!(target_endian = "big"),
        _ => return None,
    };
    let letter = descr[1..].chars().next().filter(char::is_ascii)?;
    let size: usize = descr[2..].parse().ok().filter(|size| *size > 0)?;
    let kind = match (letter, size) {
        ('f', 2 | 4 | 8) => Kind::Float(size),
        ('i', 1 | 2 | 4 | 8) => Kind::Signed(size),
        ('u', 1 | 2 | 4 | 8) => Kind::Unsigned(size),
        ('U', _) => Kind::Letters(size),
        ('S', _) => Kind::Bytes(size),
        _ => return None,
    };
    Some((kind, is_big_endian))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_as_numpy_writes_them() {
        let bytes = to_bytes("<f4", &[3, 20]);
        assert_eq!(bytes.len() % 64, 0);
        let (header, start) = read(&mut &bytes[..]).unwrap().unwrap();
        assert_eq!((start, header.kind), (bytes.len() as u64, Kind::Float(4)));
        assert_eq!(
            (&header.shape[..], header.length()),
            ([3, 20].as_slice(), Some(240))
        );
        let text = "{'shape': (7L,), \"fortran_order\": True, 'descr': '>i2'}";
        let header = parse(text).unwrap();
        assert!(header.is_big_endian && header.is_by_columns);
        assert_eq!(
            (header.kind, &header.shape[..]),
            (Kind::Signed(2), [7].as_slice())
        );
        let scalar = parse("{'descr': '<U3', 'fortran_order': False, 'shape': ()}").unwrap();
        assert!(scalar.shape.is_empty() && scalar.length() == Some(12));
    }

    #[test]
    fn other_headers_are_refused() {
        for text in [
            "",
            "{}",
            "{'descr': '<f4'}",
            "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
            "{'descr': '<f3', 'fortran_order': False, 'shape': (1,)}",
            "{'descr': 'é4', 'fortran_order': False, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': No, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        let huge = "{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807, 9)}";
        assert_eq!(parse(huge).unwrap().length(), None);
        assert!(
            read(&mut &b"\x93NUMPY\x02\x00\xff\xff\xff\xff"[..])
                .unwrap()
                .is_err()
        );
        assert!(read(&mut &b"\x93NUMPY\x09\x00"[..]).unwrap().is_err());
    }
}
