//! Numbers of rows, in memory or in a file that is mapped.

use std::ops::{Deref, Range};
use std::sync::Arc;

use bytemuck::Pod;
use dml_core::Result;

/// A mapped file, whose blocks are checked before they are read.
pub(crate) trait MappedBytes: Send + Sync {
    /// All bytes of the file.
    fn bytes(&self) -> &[u8];

    /// Checks the blocks that hold these bytes, unless that has been done.
    ///
    /// # Errors
    /// If a block has been altered.
    fn check(&self, range: Range<usize>) -> Result<()>;
}

/// Numbers one after the other.
#[derive(Clone)]
pub(crate) enum Numbers<T> {
    Owned(Vec<T>),
    Mapped(MappedNumbers<T>),
}

/// Numbers of a mapped file.
#[derive(Clone)]
pub(crate) struct MappedNumbers<T> {
    file: Arc<dyn MappedBytes>,
    /// Where they lie in the file.
    place: Range<usize>,
    /// The bytes as numbers. A pointer, so that only who makes the value needs to know that bytes can be such numbers.
    view: fn(&[u8]) -> &[T],
}

impl<T: Pod> MappedNumbers<T> {
    /// `len` numbers from byte `start` on; `None` where these are not in the file or not aligned.
    pub(crate) fn new(file: Arc<dyn MappedBytes>, start: usize, len: usize) -> Option<Self> {
        let end = len.checked_mul(size_of::<T>())?.checked_add(start)?;
        let bytes = file.bytes().get(start..end)?;
        bytemuck::try_cast_slice::<u8, T>(bytes).ok()?;
        Some(Self {
            file,
            place: start..end,
            view: bytemuck::cast_slice,
        })
    }
}

impl<T: Copy> Numbers<T> {
    pub(crate) fn none() -> Self {
        Self::Owned(Vec::new())
    }

    /// Whether the numbers are in a file.
    pub(crate) fn are_mapped(&self) -> bool {
        matches!(self, Self::Mapped(_))
    }

    /// Makes sure that some of the numbers are those that were written.
    ///
    /// # Errors
    /// If a block of the file has been altered.
    pub(crate) fn check(&self, range: Range<usize>) -> Result<()> {
        match self {
            Self::Mapped(numbers) if !range.is_empty() => {
                let at = |number: usize| numbers.place.start + number * size_of::<T>();
                numbers.file.check(at(range.start)..at(range.end))
            }
            _ => Ok(()),
        }
    }

    /// The numbers in memory, to be changed.
    pub(crate) fn to_mut(&mut self) -> &mut Vec<T> {
        if self.are_mapped() {
            *self = Self::Owned(self.to_vec());
        }
        match self {
            Self::Owned(numbers) => numbers,
            Self::Mapped(_) => unreachable!("they are in memory now"),
        }
    }
}

impl<T> Deref for Numbers<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        match self {
            Self::Owned(numbers) => numbers,
            Self::Mapped(numbers) => (numbers.view)(&numbers.file.bytes()[numbers.place.clone()]),
        }
    }
}
