//! For each class the logarithm of a sum over its own rows, and of one over all others.
//!
//! ```text
//! own[c]    = ln(1 + Σ_{i: yᵢ = c} e^{a x[c][i] + b + w[i]})
//! others[c] = ln(1 + Σ_{i: yᵢ ≠ c} e^{a′ x[c][i] + b′ + w[i]})
//! ```
//!
//! Each entry of the matrix `[classes, rows]` is in one sum or the other, so one matrix holds the slopes of both.

use rayon::prelude::*;

use crate::in_place::InPlace;
use crate::lengths;
use crate::row_chunks::worth_a_thread;
use crate::softmax::softmax_in_place;
use crate::{Real, for_each_row, zeros};

/// Classes that one task takes at a time; fixed, so that results do not depend on the number of threads.
const CLASSES: usize = 8;

/// What an exponent is made of an entry: `slope · x + offset`.
#[derive(Clone, Copy, Debug)]
pub struct Line<T> {
    /// a.
    pub slope: T,
    /// b.
    pub offset: T,
}

/// The sums of every class, and their slopes.
#[derive(Clone, Debug)]
pub struct ClassLogSums<T> {
    /// The sums over own rows, then those over the others: `[2 · classes]`.
    pub values: Vec<T>,
    /// The slope of the sum that an entry is in: `[classes, rows]`.
    pub slopes: Vec<T>,
}

/// The sums of a matrix `x` `[classes, rows]`; `members[c]` are the rows of class c, and `weights` `[rows]` are added to
/// exponents (none if empty).
///
/// ```
/// use dml_kernels::class_log_sums::{Line, class_log_sums};
///
/// let (own, others) = (Line { slope: -1.0, offset: 0.0 }, Line { slope: 1.0, offset: 0.0 });
/// let sums = class_log_sums(&[0f64, 3f64.ln()], 2, &[vec![0]], &[], own, others);
/// assert!((sums.values[0] - 2f64.ln()).abs() < 1e-15 && (sums.values[1] - 4f64.ln()).abs() < 1e-15);
/// assert!((sums.slopes[0] + 0.5).abs() < 1e-15 && (sums.slopes[1] - 0.75).abs() < 1e-15);
/// ```
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn class_log_sums<T: Real>(
    x: &[T],
    rows: usize,
    members: &[Vec<u32>],
    weights: &[T],
    own: Line<T>,
    others: Line<T>,
) -> ClassLogSums<T> {
    let area = lengths::area("x", members.len(), rows);
    lengths::length("x", x.len(), area);
    if !weights.is_empty() {
        lengths::length("weights", weights.len(), rows);
    }
    for members in members {
        lengths::below("members", members, rows);
    }
    let classes = members.len();
    let mut values = vec![T::ZERO; 2 * classes];
    let mut slopes = zeros(area);
    let (own_values, other_values) = values.split_at_mut(classes);
    own_values
        .par_chunks_mut(CLASSES)
        .zip(other_values.par_chunks_mut(CLASSES))
        .zip(slopes.par_chunks_mut((CLASSES * rows).max(1)))
        .enumerate()
        .with_min_len(worth_a_thread(CLASSES * rows))
        .for_each_in_place(|(chunk, ((own_values, other_values), slopes))| {
            let mut exponents = Vec::new();
            let values = own_values.iter_mut().zip(other_values);
            for (k, ((own_value, other_value), slopes)) in
                values.zip(slopes.chunks_exact_mut(rows)).enumerate()
            {
                let class = chunk * CLASSES + k;
                let x = &x[class * rows..][..rows];
                let members = &members[class];
                lines(x, weights, others, slopes);
                exponents.clear();
                for &i in members {
                    let i = i as usize;
                    let weight = weights.get(i).copied().unwrap_or(T::ZERO);
                    exponents.push(own.slope * x[i] + own.offset + weight);
                    slopes[i] = T::from_f64(f64::NEG_INFINITY);
                }
                *own_value = T::from_f64(softmax_in_place(&mut exponents, &[], true));
                *other_value = T::from_f64(softmax_in_place(slopes, &[], true));
                slopes
                    .iter_mut()
                    .for_each(|slope| *slope = *slope * others.slope);
                for (&i, share) in members.iter().zip(&exponents) {
                    slopes[i as usize] = *share * own.slope;
                }
            }
        });
    ClassLogSums { values, slopes }
}

fn lines<T: Real>(x: &[T], weights: &[T], line: Line<T>, out: &mut [T]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for (out, x) in out.iter_mut().zip(x) {
                *out = line.slope * *x + line.offset;
            }
            for (out, weight) in out.iter_mut().zip(weights) {
                *out += *weight;
            }
        },
    );
}

/// The gradient with respect to the matrix, given that of the values.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn class_log_sums_backward<T: Real>(
    slopes: &[T],
    rows: usize,
    members: &[Vec<u32>],
    gradient: &[T],
) -> Vec<T> {
    lengths::length(
        "slopes",
        slopes.len(),
        lengths::area("slopes", members.len(), rows),
    );
    lengths::length("gradient", gradient.len(), 2 * members.len());
    let arch = pulp::Arch::new();
    let (own, others) = gradient.split_at(members.len());
    let mut out = zeros(slopes.len());
    for_each_row(&mut out, rows, |class, out| {
        let slopes = &slopes[class * rows..][..rows];
        arch.dispatch(
            #[inline(always)]
            || {
                for (out, slope) in out.iter_mut().zip(slopes) {
                    *out = others[class] * *slope;
                }
            },
        );
        for &i in &members[class] {
            out[i as usize] = own[class] * slopes[i as usize];
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(x: &[f64], rows: usize, members: &[Vec<u32>], weights: &[f64]) -> Vec<f64> {
        let sum = |own: bool| {
            let class = move |(c, x): (usize, &[f64])| {
                let term = |(i, x): (usize, &f64)| {
                    let line = if own { -2.0 * x + 0.3 } else { 3.0 * x - 0.1 };
                    (line + weights[i]).exp()
                };
                let is_in = |(i, _): &(usize, &f64)| members[c].contains(&(*i as u32)) == own;
                x.iter()
                    .enumerate()
                    .filter(is_in)
                    .map(term)
                    .sum::<f64>()
                    .ln_1p()
            };
            x.chunks(rows).enumerate().map(class).collect::<Vec<_>>()
        };
        [sum(true), sum(false)].concat()
    }

    #[test]
    fn values_and_gradient_agree_with_the_formula() {
        let rows = 5;
        // Twenty classes, of which the last ones have no rows.
        let mut members = vec![vec![0, 3], vec![1], vec![2, 4]];
        members.resize(20, vec![]);
        let x: Vec<f64> = (0..20 * rows).map(|i| (i as f64 * 1.3).sin()).collect();
        let weights = [0.0, -0.5, -1.0, 0.0, -0.25];
        let (own, others) = (
            Line {
                slope: -2.0,
                offset: 0.3,
            },
            Line {
                slope: 3.0,
                offset: -0.1,
            },
        );
        let sums = class_log_sums(&x, rows, &members, &weights, own, others);
        for (got, want) in sums.values.iter().zip(plain(&x, rows, &members, &weights)) {
            assert!((got - want).abs() < 1e-12);
        }
        let g: Vec<f64> = (0..40).map(|i| (i as f64).cos()).collect();
        let gradient = class_log_sums_backward(&sums.slopes, rows, &members, &g);
        let total = |x: &[f64]| -> f64 {
            let values = plain(x, rows, &members, &weights);
            values.iter().zip(&g).map(|(v, g)| v * g).sum()
        };
        for (at, got) in gradient.iter().enumerate() {
            let (mut up, mut down) = (x.clone(), x.clone());
            (up[at], down[at]) = (up[at] + 1e-6, down[at] - 1e-6);
            assert!((got - (total(&up) - total(&down)) / 2e-6).abs() < 1e-7);
        }
    }
}
