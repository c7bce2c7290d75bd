//! How rows are shared among threads: in fixed, contiguous chunks, so that any number of threads gives the same bits.

use rayon::prelude::*;

use crate::in_place::InPlace;
use crate::lengths;
use std::ops::Range;

/// Rows `0..rows` cut into `parts` contiguous ranges of nearly equal length, or one per row if there are fewer rows.
///
/// The number of parts may depend on sizes, never on the number of threads: sums over parts are added in their order.
///
/// ```
/// let chunks = dml_kernels::row_chunks(10, 4);
/// assert_eq!(chunks, [0..2, 2..5, 5..7, 7..10]);
/// ```
#[must_use]
pub fn row_chunks(rows: usize, parts: usize) -> Vec<Range<usize>> {
    let parts = parts.clamp(1, rows.max(1));
    (0..parts)
        .map(|i| i * rows / parts..(i + 1) * rows / parts)
        .collect()
}

/// How many pieces of `entries` numbers outweigh waking a thread for them and waiting for it to end, some 50 µs, where
/// a number costs about a nanosecond.
pub(crate) fn worth_a_thread(entries: usize) -> usize {
    (65_536 / entries.max(1)).max(1)
}

/// `f` on each row of a row-major matrix, in parallel; `data.len()` is a multiple of `width`.
///
/// # Panics
/// Unless the length of `data` is a multiple of `width`.
pub fn for_each_row<T: Send>(data: &mut [T], width: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    for_each_row_with(data, width, |i, row, (): &mut ()| f(i, row));
}

/// As [`for_each_row`], with scratch memory that each task brings and reuses from row to row.
///
/// # Panics
/// As [`for_each_row`].
pub fn for_each_row_with<T: Send, S: Default>(
    data: &mut [T],
    width: usize,
    f: impl Fn(usize, &mut [T], &mut S) + Sync,
) {
    lengths::rows("data", data.len(), width);
    if width == 0 {
        return;
    }
    let rows = (16_384 / width).max(1);
    data.par_chunks_mut(rows * width)
        .enumerate()
        .with_min_len(worth_a_thread(rows * width))
        .for_each_in_place(|(chunk, block)| {
            let mut scratch = S::default();
            for (i, row) in block.chunks_exact_mut(width).enumerate() {
                f(chunk * rows + i, row, &mut scratch);
            }
        });
}

/// `f` on each row number, in parallel; results in order. Each task brings scratch memory of its own.
pub fn map_rows<S: Default, R: Send>(rows: usize, f: impl Fn(usize, &mut S) -> R + Sync) -> Vec<R> {
    /// Rows that one task takes at a time; fixed, so that results do not depend on the number of threads.
    const ROWS: usize = 16;
    let starts: Vec<usize> = (0..rows).step_by(ROWS).collect();
    let parts: Vec<Vec<R>> = starts.into_par_iter().map_in_place(|first| {
        let mut scratch = S::default();
        let rows = first..(first + ROWS).min(rows);
        rows.map(|row| f(row, &mut scratch)).collect()
    });
    parts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_row_once() {
        for rows in [0, 1, 2, 3, 7, 64] {
            for parts in [1, 2, 3, 8] {
                let joined: Vec<usize> = row_chunks(rows, parts).into_iter().flatten().collect();
                assert_eq!(joined, (0..rows).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn results_come_in_the_order_of_the_rows() {
        let squares = map_rows(100, |row, calls: &mut usize| {
            *calls += 1;
            (row * row, *calls)
        });
        assert!(squares.iter().enumerate().all(|(i, s)| s.0 == i * i));
        assert!(squares.iter().all(|s| s.1 <= 16));
        assert!(map_rows(0, |row, _: &mut ()| row).is_empty());
    }

    #[test]
    fn every_row_is_visited_with_its_number() {
        let mut data = vec![0usize; 5000 * 7];
        for_each_row(&mut data, 7, |i, row| row.fill(i));
        assert!(
            data.chunks(7)
                .enumerate()
                .all(|(i, row)| row.iter().all(|&x| x == i))
        );
    }
}
