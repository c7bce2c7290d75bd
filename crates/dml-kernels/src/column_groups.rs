//! One number for every few neighbouring columns of a matrix: the largest of them, or their mean weighted by softmax.
//!
//! ```text
//! S = Σₖ pₖ sₖ,   pₖ = e^{sₖ/γ} / Σₗ e^{sₗ/γ},   ∂S/∂sₖ = pₖ (1 + (sₖ − S)/γ)
//! ```
//!
//! Matrices are `[rows, groups · size]`, results `[rows, groups]`.

use rayon::prelude::*;

use crate::in_place::InPlace;
use crate::lengths;
use crate::{Real, for_each_row, vectorized, zeros};

/// About how many numbers one task takes at a time; fixed, so that results do not depend on the number of threads.
const RUN: usize = 16_384;

/// How many groups of a size make a task.
fn groups_per_task(size: usize) -> usize {
    (RUN / size.max(1)).max(1)
}

/// The largest of each group, and its place in the group: the first of equal ones. NaN is larger than every number.
///
/// ```
/// use dml_kernels::column_groups::largest;
///
/// assert_eq!(largest(&[1f32, 2., 5., 5.], 2), (vec![2., 5.], vec![1, 0]));
/// ```
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn largest<T: Real>(x: &[T], size: usize) -> (Vec<T>, Vec<u32>) {
    lengths::rows("x", x.len(), size);
    let count = x.len().checked_div(size).unwrap_or(0);
    let mut values = vec![T::ZERO; count];
    let mut places = vec![0; count];
    let task = groups_per_task(size);
    values
        .par_chunks_mut(task)
        .zip(places.par_chunks_mut(task))
        .zip(x.par_chunks((task * size).max(1)))
        .for_each_in_place(|((values, places), x)| {
            let groups = values.iter_mut().zip(places).zip(x.chunks_exact(size));
            for ((value, place), group) in groups {
                let mut best = 0;
                for (k, x) in group.iter().enumerate() {
                    if *x > group[best] || x.is_nan() {
                        best = k;
                    }
                }
                (*value, *place) = (group[best], best as u32);
            }
        });
    (values, places)
}

/// The gradient with respect to the matrix: that of a group goes to its largest.
///
/// # Panics
/// If a length does not fit the shapes, or a place lies outside of its group.
#[must_use]
pub fn largest_backward<T: Real>(places: &[u32], gradient: &[T], size: usize) -> Vec<T> {
    lengths::length("gradient", gradient.len(), places.len());
    let mut out = zeros(places.len() * size);
    for_each_row(&mut out, size, |group, out| {
        out[places[group] as usize] = gradient[group];
    });
    out
}

/// The softmax mean of each group at temperature γ, and its gradients in the shape of the matrix.
///
/// ```
/// use dml_kernels::column_groups::softmax_means;
///
/// let (means, gradients) = softmax_means(&[1f64, 1.0], 2, 0.5);
/// assert_eq!((means, gradients), (vec![1.0], vec![0.5, 0.5]));
/// ```
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn softmax_means<T: Real>(x: &[T], size: usize, gamma: f64) -> (Vec<T>, Vec<T>) {
    lengths::rows("x", x.len(), size);
    let sharpness = T::from_f64(1.0 / gamma);
    let mut means = vec![T::ZERO; x.len().checked_div(size).unwrap_or(0)];
    let mut gradients = zeros(x.len());
    let task = groups_per_task(size);
    means
        .par_chunks_mut(task)
        .zip(gradients.par_chunks_mut((task * size).max(1)))
        .zip(x.par_chunks((task * size).max(1)))
        .for_each_in_place(|((means, gradients), x)| {
            for (gradients, x) in gradients.chunks_exact_mut(size).zip(x.chunks_exact(size)) {
                let larger = |top: T, x: &T| if *x > top { *x } else { top };
                let top = x.iter().fold(x[0], larger);
                for (gradient, x) in gradients.iter_mut().zip(x) {
                    *gradient = (*x - top) * sharpness;
                }
            }
            vectorized!({
                for gradient in gradients.iter_mut() {
                    *gradient = gradient.quick_exp();
                }
            });
            let groups = gradients.chunks_exact_mut(size).zip(x.chunks_exact(size));
            for (mean, (gradients, x)) in means.iter_mut().zip(groups) {
                *mean = of_group(x, gradients, sharpness);
            }
        });
    (means, gradients)
}

/// The mean of a group; its shares, which do not add up to 1 yet, become gradients.
#[inline(always)]
fn of_group<T: Real>(x: &[T], shares: &mut [T], sharpness: T) -> T {
    let share = T::ONE / shares.iter().copied().sum();
    shares.iter_mut().for_each(|s| *s = *s * share);
    let mean: T = x.iter().zip(shares.iter()).map(|(x, s)| *x * *s).sum();
    for (s, x) in shares.iter_mut().zip(x) {
        *s = *s * (T::ONE + (*x - mean) * sharpness);
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_larger_than_what_is_no_number() {
        for place in 0..3 {
            let mut x = [1f32, 3.0, 2.0];
            x[place] = f32::NAN;
            let (values, places) = largest(&x, 3);
            assert!(values[0].is_nan() && places == [place as u32]);
            let (means, gradients) = softmax_means(&x, 3, 0.5);
            assert!(means[0].is_nan() && gradients.iter().all(|gradient| gradient.is_nan()));
        }
    }

    #[test]
    fn every_group_of_a_long_list_has_its_own() {
        let x: Vec<f64> = (0..60_000).map(|i| (f64::from(i) * 0.7).sin()).collect();
        let (values, places) = largest(&x, 3);
        let (means, gradients) = softmax_means(&x, 3, 0.2);
        for (g, group) in x.chunks(3).enumerate() {
            let top = group.iter().copied().fold(f64::MIN, f64::max);
            assert_eq!((values[g], group[places[g] as usize]), (top, top));
            let shares: Vec<f64> = group.iter().map(|x| (x / 0.2).exp()).collect();
            let sum: f64 = shares.iter().sum();
            let mean = group
                .iter()
                .zip(&shares)
                .map(|(x, s)| x * s / sum)
                .sum::<f64>();
            assert!((means[g] - mean).abs() < 1e-12);
            for k in 0..3 {
                let gradient = shares[k] / sum * (1.0 + (group[k] - mean) / 0.2);
                assert!((gradients[3 * g + k] - gradient).abs() < 1e-12);
            }
        }
        let back = largest_backward(&places, &values, 3);
        assert_eq!(back.iter().filter(|x| **x != 0.0).count(), 20_000);
        assert_eq!(back[3 * 17 + places[17] as usize], values[17]);
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(largest::<f32>(&[], 2), (vec![], vec![]));
        assert_eq!(softmax_means::<f32>(&[], 2, 1.0), (vec![], vec![]));
        assert!(largest_backward::<f32>(&[], &[], 2).is_empty());
    }
}
