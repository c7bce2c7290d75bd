//! The rows of an index, on their way to a file and back.

use std::io;

use dml_core::kernels::Real;
use half::f16;

use super::checksums::BLOCK;
use crate::kernels::nearest::Numbers;

/// The element types of payloads, by their codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    /// There are no rows.
    None = 0,
    F16 = 1,
    F32 = 2,
    F64 = 3,
    /// What another library has written.
    Bytes = 4,
}

impl Element {
    pub(super) fn of_code(code: u32) -> Option<Self> {
        let all = [Self::None, Self::F16, Self::F32, Self::F64, Self::Bytes];
        all.into_iter().find(|element| *element as u32 == code)
    }

    /// Bytes of a number.
    pub(super) fn size(self) -> usize {
        [0, 2, 4, 8, 1][self as usize]
    }
}

/// The rows of an index that are to be written, in pieces one after the other.
#[derive(Clone, Debug)]
pub(crate) enum Rows<'a> {
    None,
    F16(Vec<&'a [f16]>),
    F32(Vec<&'a [f32]>),
    F64(Vec<&'a [f64]>),
    #[cfg_attr(not(feature = "usearch"), allow(dead_code))] // Only the graph has them.
    Bytes(&'a [u8]),
}

/// ‖r‖² of each row, in the precision of the rows: who maps the file need not read all rows for them.
#[derive(Clone, Debug, Default)]
pub(crate) enum Norms<'a> {
    #[default]
    None,
    F32(Vec<&'a [f32]>),
    F64(Vec<&'a [f64]>),
}

impl Rows<'_> {
    pub(super) fn element(&self) -> Element {
        match self {
            Self::None => Element::None,
            Self::F16(_) => Element::F16,
            Self::F32(_) => Element::F32,
            Self::F64(_) => Element::F64,
            Self::Bytes(_) => Element::Bytes,
        }
    }

    /// Length in bytes.
    pub(super) fn length(&self) -> u64 {
        let numbers = match self {
            Self::None => 0,
            Self::F16(pieces) => count(pieces),
            Self::F32(pieces) => count(pieces),
            Self::F64(pieces) => count(pieces),
            Self::Bytes(bytes) => bytes.len(),
        };
        (numbers * self.element().size()) as u64
    }

    /// Hands the bytes to `sink`, piece by piece.
    pub(super) fn write(&self, sink: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::F16(pieces) => write(pieces, f16::to_le_bytes, sink),
            Self::F32(pieces) => write(pieces, f32::to_le_bytes, sink),
            Self::F64(pieces) => write(pieces, f64::to_le_bytes, sink),
            Self::Bytes(bytes) => sink(bytes),
        }
    }
}

impl Norms<'_> {
    pub(super) fn are_there(&self) -> bool {
        !matches!(self, Self::None)
    }

    pub(super) fn write(&self, sink: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::F32(pieces) => write(pieces, f32::to_le_bytes, sink),
            Self::F64(pieces) => write(pieces, f64::to_le_bytes, sink),
        }
    }
}

fn count<T>(pieces: &[&[T]]) -> usize {
    pieces.iter().map(|piece| piece.len()).sum()
}

fn write<T: Copy, const N: usize>(
    pieces: &[&[T]],
    bytes: impl Fn(T) -> [u8; N],
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    for piece in pieces {
        for numbers in piece.chunks(1 << 14) {
            buffer.clear();
            buffer.extend(numbers.iter().flat_map(|x| bytes(*x)));
            sink(&buffer)?;
        }
    }
    Ok(())
}

/// The rows of a file, in memory or where they are.
#[derive(Clone)]
pub(crate) enum Payload {
    None,
    F16(Numbers<f16>),
    F32(WithNorms<f32>),
    F64(WithNorms<f64>),
    /// What another library has written.
    #[cfg_attr(not(feature = "usearch"), allow(dead_code))] // Only the graph has them.
    Bytes(Vec<u8>),
}

/// Rows, and ‖r‖² of each where the file is mapped and has them.
#[derive(Clone)]
pub(crate) struct WithNorms<T> {
    pub(crate) rows: Numbers<T>,
    pub(crate) squared_norms: Option<Numbers<T>>,
}

/// A payload that grows by bytes. Every block but the last one has a whole number of numbers.
pub(super) enum Growing {
    None,
    F16(Vec<f16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bytes(Vec<u8>),
}

impl Growing {
    /// Room for `length` bytes, no more than a file of that length has.
    pub(super) fn with_room(element: Element, length: usize) -> io::Result<Self> {
        const { assert!(BLOCK.is_multiple_of(8)) };
        fn room<T>(length: usize) -> io::Result<Vec<T>> {
            let mut numbers = Vec::new();
            let reserved = numbers.try_reserve_exact(length / size_of::<T>());
            reserved.map_err(|error| io::Error::new(io::ErrorKind::OutOfMemory, error))?;
            Ok(numbers)
        }
        Ok(match element {
            Element::None => Self::None,
            Element::F16 => Self::F16(room(length)?),
            Element::F32 => Self::F32(room(length)?),
            Element::F64 => Self::F64(room(length)?),
            Element::Bytes => Self::Bytes(room(length)?),
        })
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        fn numbers<T, const N: usize>(
            bytes: &[u8],
            number: impl Fn([u8; N]) -> T,
        ) -> impl Iterator<Item = T> {
            let numbers = bytes.as_chunks::<N>().0.iter();
            numbers.map(move |bytes| number(*bytes))
        }
        match self {
            Self::None => {}
            Self::F16(rows) => rows.extend(numbers(bytes, f16::from_le_bytes)),
            Self::F32(rows) => rows.extend(numbers(bytes, f32::from_le_bytes)),
            Self::F64(rows) => rows.extend(numbers(bytes, f64::from_le_bytes)),
            Self::Bytes(own) => own.extend_from_slice(bytes),
        }
    }

    pub(super) fn into_payload(self) -> Payload {
        fn alone<T>(rows: Vec<T>) -> WithNorms<T> {
            WithNorms {
                rows: Numbers::Owned(rows),
                squared_norms: None,
            }
        }
        match self {
            Self::None => Payload::None,
            Self::F16(rows) => Payload::F16(Numbers::Owned(rows)),
            Self::F32(rows) => Payload::F32(alone(rows)),
            Self::F64(rows) => Payload::F64(alone(rows)),
            Self::Bytes(bytes) => Payload::Bytes(bytes),
        }
    }
}

impl<T: Real> WithNorms<T> {
    /// The numbers in memory.
    pub(crate) fn into_rows(mut self) -> Vec<T> {
        std::mem::take(self.rows.to_mut())
    }
}
