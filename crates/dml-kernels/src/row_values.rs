//! One number for each row of a matrix, with its gradient in the row.
//!
//! ```text
//! value[i] = f(i, x[i])        gradients[i][j] = ∂ value[i] / ∂ x[i][j]
//! ```
//!
//! Value and gradients come out of one visit of a row, while it lies in the cache.

use rayon::prelude::*;

use crate::Real;
use crate::in_place::InPlace;
use crate::lengths;
use crate::row_chunks::worth_a_thread;
use crate::zeros::{filled, unwritten};

/// Rows that one task takes at a time; fixed, so that results do not depend on the number of threads.
const ROWS: usize = 8;
/// Nanoseconds that an entry is taken to cost: an exponential or two.
const COST: usize = 3;

/// The value of row i, from the row, the place of its gradients and scratch memory.
type RowFunction<'f, T, S> = dyn Fn(usize, &[T], &mut [T], &mut S) -> T + Sync + 'f;

/// The value of each row of `x` `[rows, width]`, and the gradients `[rows, width]`.
///
/// `f(i, row, gradients, scratch)` gives the value of row i and writes the gradients, which are 0 before. Each task brings
/// scratch memory of its own.
///
/// # Panics
/// If `x` has not `rows · width` entries.
#[must_use]
pub fn row_values<T: Real, S: Default>(
    x: &[T],
    rows: usize,
    width: usize,
    f: impl Fn(usize, &[T], &mut [T], &mut S) -> T + Sync,
) -> (Vec<T>, Vec<T>) {
    with_gradients(x, rows, width, &f)
}

/// [`row_values`] for a function behind a pointer: the loop is compiled once for all formulas.
fn with_gradients<T: Real, S: Default>(
    x: &[T],
    rows: usize,
    width: usize,
    f: &RowFunction<'_, T, S>,
) -> (Vec<T>, Vec<T>) {
    let area = lengths::area("x", rows, width);
    lengths::length("x", x.len(), area);
    let mut values = vec![T::ZERO; rows];
    if width == 0 {
        let mut scratch = S::default();
        for (i, value) in values.iter_mut().enumerate() {
            *value = f(i, &[], &mut [], &mut scratch);
        }
        return (values, Vec::new());
    }
    let mut gradients = unwritten::<T>(area);
    let room = &mut gradients.spare_capacity_mut()[..area];
    values
        .par_chunks_mut(ROWS)
        .zip(room.par_chunks_mut(ROWS * width))
        .zip(x.par_chunks(ROWS * width))
        .enumerate()
        .with_min_len(worth_a_thread(COST * ROWS * width))
        .for_each_in_place(|(chunk, ((values, gradients), x))| {
            let mut scratch = S::default();
            let rows = gradients.chunks_exact_mut(width).zip(x.chunks_exact(width));
            for (i, (value, (gradients, x))) in values.iter_mut().zip(rows).enumerate() {
                // Row by row: the zeros are still in the cache when `f` writes over them.
                let gradients = filled(gradients);
                *value = f(chunk * ROWS + i, x, gradients, &mut scratch);
            }
        });
    // SAFETY: the chunks are as many as those of the values, together all of `room`, and each row of them was filled.
    #[allow(unsafe_code)]
    unsafe {
        gradients.set_len(area);
    }
    (values, gradients)
}

/// The value of each row of `x` `[rows, width]` where nobody asks for gradients: one row of them is written over and over.
///
/// # Panics
/// If `x` has not `rows · width` entries.
#[must_use]
pub fn row_values_alone<T: Real, S: Default>(
    x: &[T],
    rows: usize,
    width: usize,
    f: impl Fn(usize, &[T], &mut [T], &mut S) -> T + Sync,
) -> Vec<T> {
    without_gradients(x, rows, width, &f)
}

fn without_gradients<T: Real, S: Default>(
    x: &[T],
    rows: usize,
    width: usize,
    f: &RowFunction<'_, T, S>,
) -> Vec<T> {
    lengths::length("x", x.len(), lengths::area("x", rows, width));
    let mut values = vec![T::ZERO; rows];
    values
        .par_chunks_mut(ROWS)
        .enumerate()
        .with_min_len(worth_a_thread(COST * ROWS * width))
        .for_each_in_place(|(chunk, values)| {
            let mut gradients = vec![T::ZERO; width];
            let mut scratch = S::default();
            for (i, value) in values.iter_mut().enumerate() {
                let row = chunk * ROWS + i;
                gradients.fill(T::ZERO);
                *value = f(
                    row,
                    &x[row * width..(row + 1) * width],
                    &mut gradients,
                    &mut scratch,
                );
            }
        });
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elementwise::scale_rows;

    /// `x₀² + i x₁`, for any number of rows.
    fn f(i: usize, x: &[f64], gradients: &mut [f64], _: &mut ()) -> f64 {
        gradients[0] = 2.0 * x[0];
        gradients[1] = i as f64;
        x[0] * x[0] + i as f64 * x[1]
    }

    #[test]
    fn every_row_has_its_value_and_its_gradients() {
        for rows in [0, 1, 7, 8, 9, 40] {
            let x: Vec<f64> = (0..3 * rows).map(|i| i as f64).collect();
            let (values, gradients) = row_values(&x, rows, 3, f);
            assert_eq!(values, row_values_alone(&x, rows, 3, f));
            for i in 0..rows {
                let (x0, x1) = ((3 * i) as f64, (3 * i + 1) as f64);
                assert_eq!(values[i], x0 * x0 + i as f64 * x1);
                assert_eq!(gradients[3 * i..3 * i + 3], [2.0 * x0, i as f64, 0.0]);
            }
            let twice = scale_rows(&gradients, &vec![2.0; rows], 3);
            assert!(twice.iter().zip(&gradients).all(|(a, b)| *a == 2.0 * b));
        }
    }

    #[test]
    fn rows_without_entries_have_values_too() {
        let seven = |_: usize, _: &[f32], _: &mut [f32], _: &mut ()| 7.0;
        assert_eq!(row_values(&[], 2, 0, seven), (vec![7.0, 7.0], vec![]));
        assert_eq!(row_values_alone(&[], 2, 0, seven), [7.0, 7.0]);
        assert!(scale_rows::<f32>(&[], &[1.0, 2.0], 0).is_empty());
    }
}
