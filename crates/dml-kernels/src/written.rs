//! Long results that are written piece by piece, in parallel, into memory that nothing has touched before.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::Real;
use crate::in_place::InPlace;
use crate::row_chunks::worth_a_thread;
use crate::zeros::{filled, unwritten};

/// A list of `len` numbers, and what `write` returns for each of its pieces, in order.
///
/// `write(i, piece)` fills the piece that begins at `i · size`; all pieces but the last have `size` numbers. A piece holds
/// zeros when `write` gets it. These are written just before, so a piece that fits into the cache costs no pass over
/// memory for them.
///
/// ```
/// let (squares, pieces) = dml_kernels::written(5, 2, |i, piece: &mut [f32]| {
///     for (j, x) in piece.iter_mut().enumerate() {
///         *x = ((2 * i + j) * (2 * i + j)) as f32;
///     }
///     piece.len()
/// });
/// assert_eq!(squares, [0., 1., 4., 9., 16.]);
/// assert_eq!(pieces, [2, 2, 1]);
/// ```
#[must_use]
pub fn written<T: Real, R: Send>(
    len: usize,
    size: usize,
    write: impl Fn(usize, &mut [T]) -> R + Sync,
) -> (Vec<T>, Vec<R>) {
    let mut lists = Lists::new([len]);
    let pieces = lists.pieces([size]).into_par_iter().enumerate();
    let results = pieces
        .with_min_len(worth_a_thread(size.max(1)))
        .map_in_place(|(i, [room])| write(i, filled(room)));
    // SAFETY: `filled` has written each piece. A panic of `write` leaves the function before this line.
    #[allow(unsafe_code)]
    let [list] = unsafe { lists.written() };
    (list, results)
}

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
    let mut lists = Lists::new(lens);
    let pieces = lists.pieces(chunks).into_par_iter().enumerate();
    pieces
        .with_min_len(least.max(1))
        .for_each_init_in_place(scratch, |scratch, (i, piece)| {
            f(scratch, i, piece.map(filled));
        });
    // SAFETY: `filled` has written each chunk. A panic of `f` leaves the function before this line.
    #[allow(unsafe_code)]
    unsafe {
        lists.written()
    }
}

/// Room for lists of numbers.
struct Lists<T, const N: usize> {
    lists: [Vec<T>; N],
    lens: [usize; N],
}

impl<T: Real, const N: usize> Lists<T, N> {
    fn new(lens: [usize; N]) -> Self {
        let lists = lens.map(unwritten::<T>);
        Self { lists, lens }
    }

    /// The room of all lists, cut into equally many pieces of so many numbers.
    fn pieces(&mut self, sizes: [usize; N]) -> Vec<[&mut [MaybeUninit<T>]; N]> {
        let sizes = sizes.map(|size| size.max(1));
        let mut counts = self
            .lens
            .iter()
            .zip(sizes)
            .map(|(len, size)| len.div_ceil(size));
        let count = counts.next().unwrap_or(0);
        assert!(
            counts.all(|other| other == count),
            "chunks: expected equally many per list"
        );
        let mut rooms = Vec::with_capacity(N);
        for ((list, len), size) in self.lists.iter_mut().zip(self.lens).zip(sizes) {
            rooms.push(list.spare_capacity_mut()[..len].chunks_mut(size));
        }
        let mut piece = || std::array::from_fn(|n| rooms[n].next().unwrap_or_default());
        (0..count).map(|_| piece()).collect()
    }

    /// The lists.
    ///
    /// # Safety
    /// All pieces have to be written.
    #[allow(unsafe_code)]
    unsafe fn written(mut self) -> [Vec<T>; N] {
        for (list, len) in self.lists.iter_mut().zip(self.lens) {
            // SAFETY: the pieces are all of the first `len` numbers, and the caller promises that they are written.
            unsafe {
                list.set_len(len);
            }
        }
        self.lists
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_in_one_piece() {
        for (len, size) in [
            (0, 3),
            (1, 3),
            (7, 0),
            (7, 1),
            (7, 3),
            (9, 3),
            (100_001, 64),
        ] {
            let (list, pieces) = written::<f64, _>(len, size, |i, piece| {
                for x in piece.iter_mut() {
                    *x += i as f64 + 1.0;
                }
                i
            });
            assert_eq!(list.len(), len);
            let size = size.max(1);
            assert!(
                list.iter()
                    .enumerate()
                    .all(|(i, x)| *x == (i / size) as f64 + 1.0)
            );
            assert!(pieces.iter().copied().eq(0..len.div_ceil(size)));
        }
    }

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
