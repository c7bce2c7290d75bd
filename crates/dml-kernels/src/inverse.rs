//! The inverse of a square matrix.
//!
//! ```text
//! P A = L U,   A⁻¹ = U⁻¹ L⁻¹ P
//! ```
//!
//! By blocks of columns, with the largest pivot of each column: all but the diagonal blocks are matrix products. It is
//! computed in double precision.

use rayon::prelude::*;

use crate::in_place::InPlace;
use crate::lengths;
use crate::matrix_product::{Existing, Matrix, MatrixMut, product};
use crate::{Real, zeros};

/// Columns that are eliminated before the rest hears of it.
const BLOCK: usize = 32;
/// Rows that one task takes at a time; fixed, so that results do not depend on the number of threads.
const ROWS: usize = 64;

/// `A⁻¹` `[n, n]` of `matrix` `[n, n]`, or `None` if it is singular or not finite.
///
/// ```
/// let inverse = dml_kernels::inverse::inverse(&[0f64, 2., 4., 0.], 2);
/// assert_eq!(inverse, Some(vec![0., 0.25, 0.5, 0.]));
/// assert_eq!(dml_kernels::inverse::inverse(&[1f64, 2., 2., 4.], 2), None);
/// ```
///
/// # Panics
/// Unless there are n · n numbers.
#[must_use]
pub fn inverse<T: Real>(matrix: &[T], n: usize) -> Option<Vec<T>> {
    lengths::length("matrix", matrix.len(), lengths::area("matrix", n, n));
    let mut lu: Vec<f64> = matrix.iter().map(|x| x.to_f64()).collect();
    let order = factorise(&mut lu, n)?;
    let mut out = zeros::<f64>(n * n);
    for (row, &from) in order.iter().enumerate() {
        out[row * n + from] = 1.0;
    }
    solve_lower(&lu, &mut out, n);
    solve_upper(&lu, &mut out, n);
    Some(out.into_iter().map(T::from_f64).collect())
}

/// Blocks of columns, first to last.
fn blocks(n: usize) -> impl DoubleEndedIterator<Item = (usize, usize)> {
    (0..n.div_ceil(BLOCK)).map(move |b| (b * BLOCK, ((b + 1) * BLOCK).min(n)))
}

/// L (below the diagonal, which is 1) and U in the place of A, and which row of A each row comes from.
fn factorise(a: &mut [f64], n: usize) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..n).collect();
    for (start, end) in blocks(n) {
        let width = end - start;
        // The columns of the block side by side: down a column of the whole matrix every step is a new cache line.
        let mut panel: Vec<f64> = (start..n)
            .flat_map(|row| &a[row * n + start..row * n + end])
            .copied()
            .collect();
        for j in 0..width {
            let pivot = largest(&panel, width, j)?;
            if pivot != j {
                order.swap(start + j, start + pivot);
                swap_rows(&mut panel, width, j, pivot);
                swap_rows(a, n, start + j, start + pivot);
            }
            let (done, below) = panel.split_at_mut((j + 1) * width);
            let top = &done[j * width..];
            for row in below.chunks_exact_mut(width) {
                let factor = row[j] / top[j];
                row[j] = factor;
                for (x, t) in row[j + 1..].iter_mut().zip(&top[j + 1..]) {
                    *x -= factor * t;
                }
            }
        }
        for (row, values) in panel.chunks_exact(width).enumerate() {
            let at = (start + row) * n + start;
            a[at..at + width].copy_from_slice(values);
        }
        // What is right of the block: first its own rows, then all below.
        let right = n - end;
        let (done, below) = a.split_at_mut(end * n);
        let mut top = Vec::with_capacity(width * right);
        for j in 0..width {
            let mut row = done[(start + j) * n + end..(start + j + 1) * n].to_vec();
            for (k, earlier) in top.chunks_exact(right.max(1)).enumerate() {
                subtract(&mut row, panel[j * width + k], earlier);
            }
            done[(start + j) * n + end..(start + j + 1) * n].copy_from_slice(&row);
            top.extend(row);
        }
        let left = &panel[width * width..];
        subtract_product(below, n, end, left, width, &top, right);
    }
    Some(order)
}

/// The row of the largest entry of a column, at or below the diagonal.
fn largest(panel: &[f64], width: usize, column: usize) -> Option<usize> {
    let entries = panel.chunks_exact(width).enumerate().skip(column);
    let sizes = entries.map(|(row, entries)| (row, entries[column].abs()));
    let (row, size) = sizes.reduce(|best, next| if next.1 > best.1 { next } else { best })?;
    (size > 0.0 && size.is_finite()).then_some(row)
}

fn swap_rows(a: &mut [f64], width: usize, one: usize, other: usize) {
    let (first, second) = a.split_at_mut(other * width);
    first[one * width..][..width].swap_with_slice(&mut second[..width]);
}

fn subtract(row: &mut [f64], factor: f64, other: &[f64]) {
    if factor != 0.0 {
        for (x, y) in row.iter_mut().zip(other) {
            *x -= factor * y;
        }
    }
}

/// `rows[.., from..] −= left · right`, where `rows` are rows of n numbers, `left` has `depth` columns and `right`
/// `columns`.
fn subtract_product(
    rows: &mut [f64],
    n: usize,
    from: usize,
    left: &[f64],
    depth: usize,
    right: &[f64],
    columns: usize,
) {
    if columns == 0 {
        return;
    }
    rows.par_chunks_mut(ROWS * n)
        .zip(left.par_chunks(ROWS * depth))
        .for_each_in_place(|(rows, left)| {
            let count = rows.len() / n;
            product(
                MatrixMut::of_rows(&mut rows[from..], count, columns, n),
                Matrix::of_rows(left, count, depth, depth),
                Matrix::of_rows(right, depth, columns, columns),
                -1.0,
                Existing::AddTo,
            );
        });
}

/// `L⁻¹ X` in the place of X.
fn solve_lower(lu: &[f64], x: &mut [f64], n: usize) {
    for (start, end) in blocks(n) {
        let (done, below) = x.split_at_mut(end * n);
        let block = &mut done[start * n..];
        for j in 1..end - start {
            let (earlier, row) = block.split_at_mut(j * n);
            for (k, earlier) in earlier.chunks_exact(n).enumerate() {
                subtract(&mut row[..n], lu[(start + j) * n + start + k], earlier);
            }
        }
        let left = columns(lu, n, end..n, start..end);
        subtract_product(below, n, 0, &left, end - start, block, n);
    }
}

/// `U⁻¹ X` in the place of X.
fn solve_upper(lu: &[f64], x: &mut [f64], n: usize) {
    for (start, end) in blocks(n).rev() {
        let (above, rest) = x.split_at_mut(start * n);
        let block = &mut rest[..(end - start) * n];
        for j in (0..end - start).rev() {
            let (row, later) = block[j * n..].split_at_mut(n);
            for (k, later) in later.chunks_exact(n).enumerate() {
                subtract(row, lu[(start + j) * n + start + j + 1 + k], later);
            }
            let diagonal = lu[(start + j) * n + start + j];
            row.iter_mut().for_each(|x| *x /= diagonal);
        }
        let left = columns(lu, n, 0..start, start..end);
        subtract_product(above, n, 0, &left, end - start, block, n);
    }
}

/// A part of a matrix by itself.
fn columns(
    a: &[f64],
    n: usize,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
) -> Vec<f64> {
    rows.flat_map(|row| &a[row * n + columns.start..row * n + columns.end])
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(n: usize) -> Vec<f64> {
        (0..n * n).map(|i| (i as f64 * 1.234).sin()).collect()
    }

    #[test]
    fn the_product_with_the_inverse_is_the_identity() {
        for n in [1, 2, 5, 31, 32, 33, 64, 150] {
            let mut a = draw(n);
            // Zeros on the diagonal: rows have to be swapped.
            (0..n.min(5)).for_each(|i| a[i * n + i] = if n == 1 { 3.0 } else { 0.0 });
            // Without this, a matrix of sines has rank 2.
            (0..n).for_each(|i| a[i * n + (i * 7 + 1) % n] += 4.0 + i as f64 / n as f64);
            let inverse = inverse(&a, n).unwrap();
            for i in 0..n {
                for j in 0..n {
                    let dot: f64 = (0..n).map(|k| a[i * n + k] * inverse[k * n + j]).sum();
                    let want = f64::from(u8::from(i == j));
                    assert!((dot - want).abs() < 1e-9, "{n}: {i} {j} {dot}");
                }
            }
        }
    }

    #[test]
    fn singular_and_broken_matrices_have_none() {
        assert_eq!(inverse::<f64>(&[], 0), Some(vec![]));
        assert_eq!(inverse(&[0f32], 1), None);
        assert_eq!(inverse(&[1f32, f32::NAN, 0.0, 1.0], 2), None);
        assert_eq!(inverse(&[f32::INFINITY], 1), None);
        let mut a = draw(40);
        a[39 * 40..].fill(0.0);
        assert_eq!(inverse(&a, 40), None);
    }

    #[test]
    fn an_ill_conditioned_matrix_keeps_its_digits() {
        // Hilbert's matrix of order 4 has whole numbers in its inverse; what is left is the rounding of its entries.
        let hilbert: Vec<f64> = (0..16)
            .map(|i| 1.0 / f64::from(i / 4 + i % 4 + 1))
            .collect();
        let inverse = inverse(&hilbert, 4).unwrap();
        assert!((inverse[0] - 16.0).abs() < 1e-9 && (inverse[5] - 1200.0).abs() < 1e-7);
    }
}
