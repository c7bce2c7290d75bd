//! Whether every number of a slice is finite, and which rows of a matrix hold one that is not.

use rayon::prelude::*;

use crate::in_place::InPlace;
use crate::lengths;
use crate::row_chunks::worth_a_thread;
use crate::{Real, vectorized};

/// Numbers that one task takes at a time.
const RUN: usize = 16_384;
/// Sums that run side by side, so that a processor with wide registers fills them.
const LANES: usize = 32;

/// Whether there is neither NaN nor an infinity among the numbers.
///
/// ```
/// use dml_kernels::finite::all_finite;
///
/// assert!(all_finite(&[0f32, -1e38]) && !all_finite(&[0f32, f32::NAN]) && !all_finite(&[f32::INFINITY]));
/// ```
#[must_use]
pub fn all_finite<T: Real>(x: &[T]) -> bool {
    let runs: Vec<bool> = x
        .par_chunks(RUN)
        .with_min_len(worth_a_thread(RUN / 4))
        .map_in_place(|run| vectorized!(is_finite(run)));
    runs.into_iter().all(|finite| finite)
}

/// The rows of `x` `[rows, width]` that hold NaN or an infinity, ascending.
///
/// ```
/// use dml_kernels::finite::rows_not_finite;
///
/// assert_eq!(rows_not_finite(&[0f64, 1., f64::NAN, 1., 2., f64::NEG_INFINITY], 2), [1, 2]);
/// ```
///
/// # Panics
/// Unless the length of `x` is a multiple of `width`.
#[must_use]
pub fn rows_not_finite<T: Real>(x: &[T], width: usize) -> Vec<u32> {
    lengths::rows("x", x.len(), width);
    if width == 0 || all_finite(x) {
        return Vec::new();
    }
    let rows = (0..).zip(x.chunks(width));
    rows.filter(|(_, row)| !is_finite(row))
        .map(|(i, _)| i)
        .collect()
}

#[inline(always)]
fn is_finite<T: Real>(x: &[T]) -> bool {
    // A number times 0 is 0; infinity, and what is no number, make it no number.
    let mut sums = [T::ZERO; LANES];
    let blocks = x.chunks_exact(LANES);
    let rest: T = blocks.remainder().iter().map(|x| *x * T::ZERO).sum();
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            *sum += *x * T::ZERO;
        }
    }
    rest == T::ZERO && sums.iter().all(|sum| *sum == T::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_in_any_place_is_found() {
        for length in [1, 31, 32, 33, 70, RUN + 5] {
            assert!(all_finite(&vec![f32::MAX; length]));
            for place in [0, length / 2, length - 1] {
                for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut x = vec![-1f32; length];
                    x[place] = broken;
                    assert!(!all_finite(&x), "{broken} at {place} of {length}");
                    assert_eq!(rows_not_finite(&x, 1), [place as u32]);
                }
            }
        }
        assert!(rows_not_finite::<f32>(&[], 3).is_empty());
    }
}
