//! Long results that are written piece by piece, in parallel, into memory that nothing has touched before.

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
    let size = size.max(1);
    let mut list = unwritten::<T>(len);
    let results = list.spare_capacity_mut()[..len]
        .par_chunks_mut(size)
        .enumerate()
        .with_min_len(worth_a_thread(size))
        .map_in_place(|(i, room)| write(i, filled(room)));
    // SAFETY: the pieces cover the first `len` numbers, and `filled` has written each of them. A panic of `write` leaves
    // the function before this line.
    #[allow(unsafe_code)]
    unsafe {
        list.set_len(len);
    }
    (list, results)
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
}
