//! Elements of a MAT file: tagged runs of bytes.

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Position in the file; within compressed data, the position where that begins.
    pub(super) at: usize,
    pub(super) expected: &'static str,
    pub(super) found: String,
}

impl Fault {
    pub(super) fn new(at: usize, expected: &'static str, found: impl Into<String>) -> Self {
        let found = found.into();
        Self {
            at,
            expected,
            found,
        }
    }
}

pub(super) const INT8: u32 = 1;
pub(super) const UINT8: u32 = 2;
pub(super) const INT16: u32 = 3;
pub(super) const UINT16: u32 = 4;
pub(super) const INT32: u32 = 5;
pub(super) const UINT32: u32 = 6;
pub(super) const SINGLE: u32 = 7;
pub(super) const DOUBLE: u32 = 9;
pub(super) const INT64: u32 = 12;
pub(super) const UINT64: u32 = 13;
pub(super) const MATRIX: u32 = 14;
pub(super) const COMPRESSED: u32 = 15;
pub(super) const UTF8: u32 = 16;
pub(super) const UTF16: u32 = 17;

/// Bytes that are read from the front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a> {
    bytes: &'a [u8],
    /// Position of the first of them.
    at: usize,
    is_little: bool,
}

/// A run of bytes with its type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) kind: u32,
    pub(super) data: Bytes<'a>,
}

impl<'a> Bytes<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize, is_little: bool) -> Self {
        Self {
            bytes,
            at,
            is_little,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn all(&self) -> &'a [u8] {
        self.bytes
    }

    fn run(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        match self.bytes.split_at_checked(length) {
            Some((run, rest)) => {
                self.bytes = rest;
                self.at += length;
                Ok(run)
            }
            None => {
                let found = format!("{} of {length}", self.bytes.len());
                Err(Fault::new(self.at, "as many bytes as announced", found))
            }
        }
    }

    fn word(&mut self) -> Result<u32, Fault> {
        let run = self.run(4)?;
        let bytes = run.first_chunk().copied().unwrap_or_default();
        Ok(if self.is_little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
    }

    /// The next element, with what fills it up to a multiple of 8 bytes.
    pub(super) fn element(&mut self) -> Result<Element<'a>, Fault> {
        let tag = self.word()?;
        let (kind, length, padding) = match (tag >> 16) as usize {
            0 => {
                let length = self.word()? as usize;
                // Compressed elements are not filled up.
                let padding = match tag {
                    COMPRESSED => 0,
                    _ => length.wrapping_neg() % 8,
                };
                (tag, length, padding)
            }
            length @ 1..=4 => (tag & 0xffff, length, 4 - length),
            length => {
                let found = format!("{length} bytes");
                return Err(Fault::new(
                    self.at - 4,
                    "at most 4 bytes in a small element",
                    found,
                ));
            }
        };
        let at = self.at;
        let data = Bytes::new(self.run(length)?, at, self.is_little);
        // The last element of a file may end without its filling.
        self.run(padding.min(self.bytes.len()))?;
        Ok(Element { kind, data })
    }

    /// The next element, which must be of that type.
    pub(super) fn expect(
        &mut self,
        kinds: &[u32],
        expected: &'static str,
    ) -> Result<Element<'a>, Fault> {
        let at = self.at;
        let element = self.element()?;
        if kinds.contains(&element.kind) {
            Ok(element)
        } else {
            Err(Fault::new(
                at,
                expected,
                format!("an element of type {}", element.kind),
            ))
        }
    }
}

impl Element<'_> {
    /// The elements as numbers.
    pub(super) fn numbers(&self) -> Result<Vec<f64>, Fault> {
        let (bytes, is_little) = (self.data.bytes, self.data.is_little);
        fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
            bytes.as_chunks().0.iter().map(|own| number(*own)).collect()
        }
        macro_rules! numbers {
            ($Type:ty) => {
                match is_little {
                    true => each(bytes, |own| <$Type>::from_le_bytes(own) as f64),
                    false => each(bytes, |own| <$Type>::from_be_bytes(own) as f64),
                }
            };
        }
        Ok(match self.kind {
            INT8 => numbers!(i8),
            UINT8 => numbers!(u8),
            INT16 => numbers!(i16),
            UINT16 => numbers!(u16),
            INT32 => numbers!(i32),
            UINT32 => numbers!(u32),
            SINGLE => numbers!(f32),
            DOUBLE => numbers!(f64),
            INT64 => numbers!(i64),
            UINT64 => numbers!(u64),
            other => {
                let found = format!("an element of type {other}");
                return Err(Fault::new(self.data.at, "numbers", found));
            }
        })
    }

    /// The elements as characters. Bytes that are no character become `U+FFFD`.
    pub(super) fn characters(&self) -> Result<Vec<char>, Fault> {
        match self.kind {
            UTF8 => Ok(String::from_utf8_lossy(self.data.bytes).chars().collect()),
            UTF16 | UINT16 => {
                let units = Element {
                    kind: UINT16,
                    ..*self
                };
                let units = units.numbers()?.into_iter().map(|unit| unit as u16);
                let characters = char::decode_utf16(units);
                Ok(characters.map(|own| own.unwrap_or('\u{fffd}')).collect())
            }
            _ => {
                let codes = self.numbers()?.into_iter();
                let character = |code: f64| char::from_u32(code as u32).unwrap_or('\u{fffd}');
                Ok(codes.map(character).collect())
            }
        }
    }
}
