//! Blocks of a matrix with rows as columns.

use rayon::prelude::*;

use crate::in_place::InPlace;
use crate::lengths;
use crate::row_chunks::worth_a_thread;
use crate::{Real, zeros};

/// How many rows and columns are moved at a time.
const BLOCK: usize = 16;

/// `out[j][i] = source[i][j]` for `rows × columns` elements; rows lie `source_stride` and `out_stride` apart.
#[inline(always)]
pub(crate) fn transpose<T: Copy>(
    source: &[T],
    source_stride: usize,
    rows: usize,
    columns: usize,
    out: &mut [T],
    out_stride: usize,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    // Rows a power of two apart compete for a few places in the first-level cache, so each row of a block is read once,
    // into a block of its own.
    let mut block = [[source[0]; BLOCK]; BLOCK];
    for top in (0..rows).step_by(BLOCK) {
        let height = BLOCK.min(rows - top);
        for left in (0..columns).step_by(BLOCK) {
            let width = BLOCK.min(columns - left);
            if height == BLOCK && width == BLOCK {
                // Of known size, rows are moved by a few vector instructions each, not by calls of a copying function.
                for (i, block) in block.iter_mut().enumerate() {
                    let (row, _) = source[(top + i) * source_stride + left..].split_at(BLOCK);
                    block.copy_from_slice(row);
                }
                for j in 0..BLOCK {
                    let (out, _) = out[(left + j) * out_stride + top..].split_at_mut(BLOCK);
                    for (out, block) in out.iter_mut().zip(&block) {
                        *out = block[j];
                    }
                }
                continue;
            }
            for (i, block) in block.iter_mut().enumerate().take(height) {
                let row = &source[(top + i) * source_stride + left..][..width];
                block[..width].copy_from_slice(row);
            }
            for j in 0..width {
                let out = &mut out[(left + j) * out_stride + top..][..height];
                for (out, block) in out.iter_mut().zip(&block) {
                    *out = block[j];
                }
            }
        }
    }
}

/// `[columns, rows]` of a matrix `[rows, columns]`.
///
/// ```
/// assert_eq!(dml_kernels::transposed(&[1f32, 2., 3., 4., 5., 6.], 2, 3), [1., 4., 2., 5., 3., 6.]);
/// ```
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn transposed<T: Real>(x: &[T], rows: usize, columns: usize) -> Vec<T> {
    lengths::length("x", x.len(), lengths::area("x", rows, columns));
    /// Columns that one task turns into rows.
    const COLUMNS: usize = 64;
    let mut out = zeros(rows * columns);
    out.par_chunks_mut((COLUMNS * rows).max(1))
        .enumerate()
        .with_min_len(worth_a_thread(COLUMNS * rows))
        .for_each_in_place(|(chunk, out)| {
            let width = out.len() / rows;
            transpose(&x[chunk * COLUMNS..], columns, rows, width, out, rows);
        });
    out
}

#[cfg(test)]
mod tests {
    use super::{transpose, transposed};

    #[test]
    fn every_column_becomes_a_row() {
        for (rows, columns) in [(0, 3), (3, 0), (1, 1), (5, 63), (40, 64), (7, 200)] {
            let x: Vec<f64> = (0..rows * columns).map(|i| i as f64).collect();
            let turned = transposed(&x, rows, columns);
            for i in 0..rows {
                for j in 0..columns {
                    assert_eq!(turned[j * rows + i], x[i * columns + j]);
                }
            }
        }
    }

    #[test]
    fn rows_become_columns_of_any_shape_and_stride() {
        for (rows, columns) in [(0, 3), (1, 1), (2, 3), (16, 16), (17, 40)] {
            let (source_stride, out_stride) = (columns + 1, rows + 2);
            let source: Vec<usize> = (0..rows * source_stride).collect();
            let mut out = vec![usize::MAX; columns * out_stride];
            transpose(&source, source_stride, rows, columns, &mut out, out_stride);
            for (place, &value) in out.iter().enumerate() {
                let (j, i) = (place / out_stride, place % out_stride);
                let expected = if i < rows {
                    i * source_stride + j
                } else {
                    usize::MAX
                };
                assert_eq!(value, expected);
            }
        }
    }
}
