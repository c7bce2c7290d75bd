//! Room for large results.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::Real;
use crate::in_place::InPlace;

/// From how many bytes on memory is asked for in large pages.
const LARGE: usize = 4 << 20;

/// From how many bytes on an allocator maps fresh pages, which are zero already. Below, memory that was used before is likely,
/// and one thread would fill it with zeros.
const MAPPED: usize = 32 << 20;

/// Bytes that a thread fills with zeros at a time.
const PIECE: usize = 512 << 10;

/// `len` zeros. A large result lies in large pages where the system has them on offer.
///
/// A matrix of distances is written once, front to back, into memory that the system hands out page by page; with
/// pages of 4 KiB, asking for them can take longer than computing what is written there.
#[must_use]
pub fn zeros<T: Real>(len: usize) -> Vec<T> {
    let bytes = len.saturating_mul(size_of::<T>());
    if (LARGE..MAPPED).contains(&bytes) {
        let mut zeros = unwritten::<T>(len);
        zeros.spare_capacity_mut()[..len]
            .par_chunks_mut(PIECE / size_of::<T>())
            .for_each_in_place(|piece| {
                filled(piece);
            });
        // SAFETY: the pieces are all of the first `len` numbers.
        #[allow(unsafe_code)]
        unsafe {
            zeros.set_len(len);
        }
        return zeros;
    }
    let zeros = vec![T::ZERO; len];
    if bytes >= LARGE {
        advise_large_pages(&zeros);
    }
    zeros
}

/// Room for `len` numbers, none of them written yet; in large pages as [`zeros`].
pub(crate) fn unwritten<T: Real>(len: usize) -> Vec<T> {
    let mut room = Vec::<T>::with_capacity(len);
    if len * size_of::<T>() >= LARGE {
        advise_large_pages(room.spare_capacity_mut());
    }
    room
}

/// Room filled with zeros.
pub(crate) fn filled<T: Real>(room: &mut [MaybeUninit<T>]) -> &mut [T] {
    room.fill(MaybeUninit::new(T::ZERO));
    // SAFETY: every element was just written.
    #[allow(unsafe_code)]
    unsafe {
        &mut *(std::ptr::from_mut(room) as *mut [T])
    }
}

#[cfg(target_os = "linux")]
fn advise_large_pages<T>(memory: &[T]) {
    let page = 4096;
    let start = memory.as_ptr().addr().next_multiple_of(page);
    let end = memory.as_ptr_range().end.addr() / page * page;
    if start >= end {
        return;
    }
    let skipped = start - memory.as_ptr().addr();
    // SAFETY: the range lies within `memory`. The advice changes no contents, and where it fails nothing is lost.
    #[allow(unsafe_code)]
    unsafe {
        let start = memory.as_ptr().cast::<u8>().add(skipped).cast_mut();
        libc::madvise(
            start.cast(),
            end - (memory.as_ptr().addr() + skipped),
            libc::MADV_HUGEPAGE,
        );
    }
}

#[cfg(not(target_os = "linux"))]
fn advise_large_pages<T>(_: &[T]) {}

#[cfg(test)]
mod tests {
    use super::zeros;

    #[test]
    fn zeros_are_zero_whatever_their_number() {
        for len in [0, 1, 5000, (1 << 20) + 1, 3 << 20, 9 << 20] {
            let mut zeros = zeros::<f32>(len);
            assert!(zeros.len() == len && zeros.iter().all(|x| *x == 0.0));
            zeros.fill(1.0);
            assert!(zeros.iter().all(|x| *x == 1.0));
        }
    }
}
