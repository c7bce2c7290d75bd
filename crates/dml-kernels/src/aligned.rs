//! Scratch memory that begins at a cache line.

use std::ops::{Deref, DerefMut};

/// How many bytes a cache line, and the widest vector register, holds.
const LINE: usize = 64;

/// A buffer of zeros whose first element lies at the beginning of a cache line.
///
/// A register loaded across two lines costs two loads, and kernels whose speed is bound by loads notice.
#[derive(Debug)]
pub struct Aligned<T> {
    data: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// `len` zeros.
    #[must_use]
    pub fn zeros(len: usize) -> Self {
        let data = vec![T::default(); len + LINE / size_of::<T>()];
        let start = data.as_ptr().align_offset(LINE).min(data.len() - len);
        Self { data, start, len }
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];
    #[inline(always)]
    fn deref(&self) -> &[T] {
        &self.data[self.start..self.start + self.len]
    }
}

impl<T> DerefMut for Aligned<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.data[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_at_a_cache_line_and_holds_what_was_asked_for() {
        for len in [0, 1, 16, 1000] {
            let buffer = Aligned::<f32>::zeros(len);
            assert_eq!((buffer.len(), buffer.as_ptr().addr() % LINE), (len, 0));
            assert!(buffer.iter().all(|x| *x == 0.0));
        }
    }
}
