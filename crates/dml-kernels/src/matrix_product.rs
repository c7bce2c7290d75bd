//! Matrix products on one thread, for kernels that share their blocks among threads themselves.

use crate::Real;
use gemm::Parallelism;

/// A matrix in a slice: rows of `columns` elements, `stride` elements apart.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// The matrix `[rows, columns]` whose rows begin `stride` elements apart in `data`.
    ///
    /// # Panics
    /// If a row reaches beyond the slice.
    #[must_use]
    pub fn of_rows(data: &'a [T], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(
            fits(data.len(), rows, columns, stride),
            "data: expected {rows} rows of {columns} numbers, {stride} apart, got {} numbers",
            data.len()
        );
        Self {
            data,
            rows,
            columns,
            stride,
        }
    }
}

/// A matrix to be written, in a slice: rows of `columns` elements, `stride` elements apart.
#[derive(Debug)]
pub struct MatrixMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<'a, T> MatrixMut<'a, T> {
    /// The matrix `[rows, columns]` whose rows begin `stride` elements apart in `data`.
    ///
    /// # Panics
    /// If a row reaches beyond the slice, or rows overlap.
    #[must_use]
    pub fn of_rows(data: &'a mut [T], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(
            fits(data.len(), rows, columns, stride) && (rows < 2 || columns <= stride),
            "data: expected {rows} rows of {columns} numbers, {stride} apart without overlap, got {} numbers",
            data.len()
        );
        Self {
            data,
            rows,
            columns,
            stride,
        }
    }
}

fn fits(len: usize, rows: usize, columns: usize, stride: usize) -> bool {
    rows == 0 || columns == 0 || (rows - 1) * stride + columns <= len
}

/// What becomes of the numbers that stand in the output already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// They are replaced.
    Overwrite,
    /// The product is added to them.
    AddTo,
}

/// `out = factor · left · right`, added to what is there or instead of it.
///
/// With all three in rows, vectors run along the rows of `right` and `out`, and nothing is repacked.
///
/// # Panics
/// If the shapes do not fit each other.
pub fn product<T: Real>(
    out: MatrixMut<'_, T>,
    left: Matrix<'_, T>,
    right: Matrix<'_, T>,
    factor: T,
    existing: Existing,
) {
    assert_eq!(left.rows, out.rows);
    assert_eq!(right.columns, out.columns);
    assert_eq!(left.columns, right.rows);
    // SAFETY: every element that the three shapes and strides reach lies in its slice, as the constructors checked,
    // and the shapes fit each other, as just checked. `out` is borrowed mutably, so it overlaps neither input, and its
    // rows do not overlap each other. `T` is f32 or f64, which gemm implements.
    #[allow(unsafe_code)]
    unsafe {
        gemm::gemm(
            out.rows,
            out.columns,
            left.columns,
            out.data.as_mut_ptr(),
            1,
            out.stride as isize,
            existing == Existing::AddTo,
            left.data.as_ptr(),
            1,
            left.stride as isize,
            right.data.as_ptr(),
            1,
            right.stride as isize,
            T::ONE,
            factor,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(left: &[f64], right: &[f64], rows: usize, depth: usize, columns: usize) -> Vec<f64> {
        let mut out = vec![0.0; rows * columns];
        for i in 0..rows {
            for j in 0..columns {
                out[i * columns + j] = (0..depth)
                    .map(|k| left[i * depth + k] * right[k * columns + j])
                    .sum();
            }
        }
        out
    }

    #[test]
    fn two_by_two() {
        let mut out = [100f32; 4];
        let left = Matrix::of_rows(&[1f32, 2., 3., 4.], 2, 2, 2);
        let right = Matrix::of_rows(&[5f32, 6., 7., 8.], 2, 2, 2);
        fn into(out: &mut [f32]) -> MatrixMut<'_, f32> {
            MatrixMut::of_rows(out, 2, 2, 2)
        }
        product(into(&mut out), left, right, 1.0, Existing::Overwrite);
        assert_eq!(out, [19., 22., 43., 50.]);
        product(into(&mut out), left, right, -2.0, Existing::AddTo);
        assert_eq!(out, [-19., -22., -43., -50.]);
    }

    #[test]
    fn every_shape_agrees_with_the_sum_and_leaves_the_gaps_alone() {
        for (rows, depth, columns) in [(1, 1, 1), (1, 9, 5), (7, 1, 3), (33, 20, 17), (5, 0, 3)] {
            let left: Vec<f64> = (0..rows * depth).map(|i| (i % 11) as f64 - 5.0).collect();
            let right: Vec<f64> = (0..depth * columns).map(|i| (i % 7) as f64 - 3.0).collect();
            let stride = columns + 2;
            let mut out = vec![0.5; rows * stride];
            product(
                MatrixMut::of_rows(&mut out, rows, columns, stride),
                Matrix::of_rows(&left, rows, depth, depth),
                Matrix::of_rows(&right, depth, columns, columns),
                1.0,
                Existing::Overwrite,
            );
            let expected = naive(&left, &right, rows, depth, columns);
            for i in 0..rows {
                assert_eq!(
                    out[i * stride..][..columns],
                    expected[i * columns..][..columns]
                );
                assert_eq!(out[i * stride + columns..][..2], [0.5; 2]);
            }
        }
    }
}
