//! Large results that are written chunk by chunk, in parallel.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::Real;
use crate::in_place::InPlace;
use crate::zeros::{filled, unwritten};

/// `N` lists of `lens` numbers, cut into equally many chunks of `chunks` numbers; `f(scratch, i, chunks)` writes the i-th
/// chunk of each list.
///
/// A chunk is zero when `f` gets it. The zeros are written right before, so they are still in the cache when `f` writes
/// over them, and the list goes through memory once. `least` is the number of chunks that are worth a thread; `scratch`
/// is made once per thread.
///
/// ```
/// let [squares, halves] = dml_kernels::written_chunks([5, 3], [2, 1], 1, || (), |(), i, [squares, halves]| {
///     for (j, square) in squares.iter_mut().enumerate() {
///         *square = ((2 * i + j) * (2 * i + j)) as f32;
///     }
///     halves[0] += i as f32 / 2.0;
/// });
/// assert_eq!((squares, halves), (vec![0., 1., 4., 9., 16.], vec![0., 0.5, 1.]));
/// ```
///
/// # Panics
/// Unless the lists have equally many chunks.
#[must_use]
pub fn written_chunks<T: Real, S, const N: usize>(
    lens: [usize; N],
    chunks: [usize; N],
    least: usize,
    scratch: impl Fn() -> S + Sync,
    f: impl Fn(&mut S, usize, [&mut [T]; N]) + Sync,
) -> [Vec<T>; N] {
    let count = |n: usize| lens[n].div_ceil(chunks[n].max(1));
    for n in 1..N {
        assert_eq!(count(n), count(0), "chunks: expected equally many per list");
    }
    let mut lists = lens.map(unwritten::<T>);
    let mut rooms = Vec::with_capacity(N);
    for (n, list) in lists.iter_mut().enumerate() {
        let room = &mut list.spare_capacity_mut()[..lens[n]];
        rooms.push(room.chunks_mut(chunks[n].max(1)));
    }
    let mut pieces: Vec<[&mut [MaybeUninit<T>]; N]> = Vec::new();
    for _ in 0..if N == 0 { 0 } else { count(0) } {
        pieces.push(std::array::from_fn(|n| rooms[n].next().unwrap_or_default()));
    }
    pieces
        .into_par_iter()
        .enumerate()
        .with_min_len(least.max(1))
        .for_each_init_in_place(scratch, |scratch, (i, piece)| {
            f(scratch, i, piece.map(filled));
        });
    for (list, len) in lists.iter_mut().zip(lens) {
        // SAFETY: the chunks are all of the first `len` numbers of the room, and each was filled with zeros at least.
        #[allow(unsafe_code)]
        unsafe {
            list.set_len(len);
        }
    }
    lists
}

#[cfg(test)]
mod tests {
    use super::written_chunks;

    #[test]
    fn every_chunk_is_zero_and_comes_once() {
        for len in [0, 1, 7, 5000] {
            let [list] = written_chunks(
                [len],
                [3],
                1,
                || (),
                |(), i, [chunk]| {
                    assert!(chunk.iter().all(|x| *x == 0.0));
                    chunk.fill(i as f64);
                },
            );
            assert!(list.iter().enumerate().all(|(j, x)| *x == (j / 3) as f64));
            assert_eq!(list.len(), len);
        }
    }

    #[test]
    #[should_panic(expected = "equally many")]
    fn lists_of_different_numbers_of_chunks_are_refused() {
        let _ = written_chunks([4, 4], [2, 1], 1, || (), |(), _, _: [&mut [f32]; 2]| ());
    }
}
