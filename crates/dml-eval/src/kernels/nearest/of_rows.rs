//! The closest entries of distances that are known already.

use dml_core::kernels::Real;
use dml_core::kernels::lengths;
use rayon::prelude::*;

use super::{Best, Neighbors};

/// The `k` closest of every row of a `[queries, references]` matrix, and whether all of its values that are not excluded
/// are numbers; ties go to the lower column.
///
/// The smallest are closest, or with `largest_first` the largest. `excluded(q)` is a column that row `q` must not
/// give. A value that is not a number is further than all others. With fewer columns than asked for (less one, if any
/// row excludes one), each row gives as many as there are.
///
/// # Panics
/// If a length does not fit the shapes.
pub(crate) fn closest_of_rows<T: Real>(
    matrix: &[T],
    references: usize,
    k: usize,
    largest_first: bool,
    excluded: impl Fn(usize) -> Option<u32> + Sync,
) -> (Neighbors, bool) {
    let queries = lengths::rows("matrix", matrix.len(), references);
    let any_excluded = (0..queries).any(|q| excluded(q).is_some());
    let k = k.min(references.saturating_sub(usize::from(any_excluded)));
    if k == 0 {
        return (Neighbors::default(), true);
    }
    let sign = if largest_first { -1.0 } else { 1.0 };
    let found: Vec<(Vec<(f64, u32)>, bool)> = matrix
        .par_chunks_exact(references)
        .enumerate()
        .map(|(q, row)| {
            let (mut best, mut all_numbers) = (Best::new(k), true);
            let excluded = excluded(q);
            for (r, value) in row.iter().enumerate() {
                if excluded != Some(r as u32) {
                    let key = sign * value.to_f64();
                    all_numbers &= !key.is_nan();
                    // Adding 0 turns −0 into 0: they are the same distance.
                    best.push(if key.is_nan() { f64::NAN } else { key + 0.0 }, r as u32);
                }
            }
            (best.into_sorted(), all_numbers)
        })
        .collect();
    let all_numbers = found.iter().all(|(_, all_numbers)| *all_numbers);
    let mut nearest = Neighbors::with_capacity(queries, k);
    let found = found.into_iter().flat_map(|(found, _)| found);
    nearest.extend(found.map(|(key, row)| (sign * key + 0.0, row)));
    (nearest, all_numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smallest_or_largest_first() {
        let matrix = [0.5f64, -1.0, 0.5, 2.0, 2.0, 0.0];
        let near = closest_of_rows(&matrix, 3, 2, false, |_| None).0;
        assert_eq!((near.k, near.indices), (2, vec![1, 0, 2, 0]));
        assert_eq!(near.distances, [-1.0, 0.5, 0.0, 2.0]);
        let far = closest_of_rows(&matrix, 3, 2, true, |_| None).0;
        assert_eq!(far.indices, [0, 2, 0, 1]);
        assert_eq!(far.distances, [0.5, 0.5, 2.0, 2.0]);
    }

    #[test]
    fn the_excluded_column_is_not_found() {
        let (found, _) = closest_of_rows(&[1f32, 0., 0., 1.], 2, 5, false, |q| Some(q as u32));
        assert_eq!((found.k, found.indices), (1, vec![1, 0]));
    }

    #[test]
    fn what_is_not_a_number_comes_last() {
        for largest_first in [false, true] {
            let row = [f32::NAN, 1.0, f32::INFINITY, f32::NEG_INFINITY];
            let (found, _) = closest_of_rows(&row, 4, 4, largest_first, |_| None);
            assert_eq!(found.indices[3], 0);
            assert!(found.distances[3].is_nan());
            let numbers = |row: &[f32]| closest_of_rows(row, 4, 1, largest_first, |_| Some(3)).1;
            assert!(!numbers(&row));
            assert!(numbers(&[0.0, 1.0, 2.0, f32::NAN]));
        }
    }

    #[test]
    fn zeros_of_either_sign_are_a_tie() {
        assert_eq!(
            closest_of_rows(&[0f32, -0.0], 2, 2, false, |_| None)
                .0
                .indices,
            [0, 1]
        );
        assert_eq!(
            closest_of_rows(&[-0.0f32, 0.0], 2, 2, true, |_| None)
                .0
                .indices,
            [0, 1]
        );
    }
}
