//! Rows divided by their p-norm, and the gradient of that.
//!
//! ```text
//! x̂ = x / ‖x‖ₚ                             0 where ‖x‖ₚ = 0
//! ∂/∂x = (g − (g·x̂) ∂‖x‖ₚ/∂x) / ‖x‖ₚ       0 where ‖x‖ₚ = 0
//! ```
//!
//! Rows are divided by their true norm, however short they are: a bound below it would make cosines of short rows
//! products of lengths, and gradients of rows of zeros as large as the inverse of the bound. A row with a coordinate
//! that is NaN becomes NaN, with every norm.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::in_place::InPlace;
use crate::row_chunks::worth_a_thread;
use crate::zeros::unwritten;
use crate::{Real, for_each_row, lengths, vectorized};

/// Rows that one task takes at a time.
const ROWS: usize = 32;
/// Sums that run side by side: one alone would wait four cycles for every addition.
const LANES: usize = 8;

/// Sums of squares in double precision that lost no digits to under- or overflow.
const FULL_PRECISION: std::ops::Range<f64> = 1e-290..1e300;

/// ‖x‖ₚ for `p >= 1`, infinity included; sums run in double precision. NaN if a coordinate is.
#[inline(always)]
#[must_use]
pub fn norm<T: Real>(row: &[T], p: f64) -> f64 {
    let magnitudes = row.iter().map(|x| x.to_f64().abs());
    if p == 2.0 {
        let square = sum_of_squares(row);
        if FULL_PRECISION.contains(&square) {
            return square.sqrt();
        }
        scaled_norm(row, 2.0)
    } else if p == 1.0 {
        magnitudes.sum()
    } else if p.is_infinite() {
        largest_magnitude(row)
    } else {
        scaled_norm(row, p)
    }
}

/// The largest of the magnitudes; NaN if a coordinate is.
#[inline(always)]
fn largest_magnitude<T: Real>(row: &[T]) -> f64 {
    row.iter().fold(0.0, |top, x| {
        let x = x.to_f64().abs();
        if x > top || x.is_nan() { x } else { top }
    })
}

/// ‖x‖ₚ from coordinates as shares of the largest one: xᵖ alone would overflow or vanish for ordinary rows when p is
/// large, and for p = 2 where coordinates are very large or very small.
#[inline(never)]
fn scaled_norm<T: Real>(row: &[T], p: f64) -> f64 {
    let top = largest_magnitude(row);
    if top == 0.0 || !top.is_finite() {
        return top;
    }
    let shares = row.iter().map(|x| x.to_f64().abs() / top);
    if p == 2.0 {
        return top * shares.map(|x| x * x).sum::<f64>().sqrt();
    }
    top * shares.map(|x| x.powf(p)).sum::<f64>().powf(1.0 / p)
}

/// `Σ x²` in double precision.
#[inline(always)]
pub(crate) fn sum_of_squares<T: Real>(row: &[T]) -> f64 {
    dot(row, row)
}

/// `Σ x·y` in double precision.
#[inline(always)]
fn dot<T: Real>(x: &[T], y: &[T]) -> f64 {
    let mut lanes = [0f64; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let rest = xs.remainder().iter().zip(ys.remainder());
    let rest: f64 = rest.map(|(x, y)| x.to_f64() * y.to_f64()).sum();
    for (x, y) in xs.zip(ys) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x.to_f64() * y.to_f64();
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// ∂‖x‖ₚ/∂x written to `out`; 0 for a zero row, and shared evenly among tied maxima for p = ∞.
///
/// # Panics
/// Unless `out` is as long as the row.
#[inline(always)]
pub fn norm_gradient<T: Real>(row: &[T], p: f64, norm: f64, out: &mut [T]) {
    lengths::length("out", out.len(), row.len());
    if norm == 0.0 || norm.is_nan() {
        out.fill(T::from_f64(norm));
        return;
    }
    if p == 2.0 {
        for (o, x) in out.iter_mut().zip(row) {
            *o = T::from_f64(x.to_f64() / norm);
        }
        return;
    }
    let ties = row
        .iter()
        .filter(|x| x.to_f64().abs() == norm)
        .count()
        .max(1) as f64;
    for (o, x) in out.iter_mut().zip(row) {
        let x = x.to_f64();
        *o = T::from_f64(if x == 0.0 {
            0.0
        } else if p.is_infinite() {
            if x.abs() == norm {
                x.signum() / ties
            } else {
                0.0
            }
        } else {
            x.signum() * (x.abs() / norm).powf(p - 1.0)
        });
    }
}

/// Each row of the `[rows, dim]` matrix `x` divided by its p-norm; also returns the norms.
///
/// # Panics
/// Unless the length of `x` is a multiple of `dim`.
#[must_use]
pub fn normalize_rows<T: Real>(x: &[T], dim: usize, p: f64) -> (Vec<T>, Vec<f64>) {
    let mut norms = vec![0.0; lengths::rows("x", x.len(), dim)];
    let mut unit = unwritten::<T>(x.len());
    let room = &mut unit.spare_capacity_mut()[..x.len()];
    let run = (ROWS * dim).max(1);
    room.par_chunks_mut(run)
        .zip(x.par_chunks(run))
        .zip(norms.par_chunks_mut(ROWS))
        .with_min_len(worth_a_thread(run))
        .for_each_in_place(|((unit, x), norms)| {
            vectorized!(normalize(x, dim, p, unit, norms));
        });
    // SAFETY: `x` consists of whole rows, each of which has written its row of the room, and there is no more of it.
    #[allow(unsafe_code)]
    unsafe {
        unit.set_len(x.len());
    }
    (unit, norms)
}

/// Some rows `x` over their norms.
#[inline(always)]
fn normalize<T: Real>(x: &[T], dim: usize, p: f64, unit: &mut [MaybeUninit<T>], norms: &mut [f64]) {
    let rows = unit.chunks_exact_mut(dim).zip(x.chunks_exact(dim));
    for ((unit, x), norm_of_row) in rows.zip(norms) {
        *norm_of_row = norm(x, p);
        // A row of zeros stays one; NaN is no 0.
        let divisor = if *norm_of_row == 0.0 {
            1.0
        } else {
            *norm_of_row
        };
        divide(x, divisor, unit);
    }
}

/// Each number over the divisor, rounded once: what is nearly a tie stays one, and softmaxes of high sharpness see every
/// digit.
#[inline(always)]
fn divide<T: Real>(x: &[T], divisor: f64, quotients: &mut [MaybeUninit<T>]) {
    let reciprocal = 1.0 / divisor;
    let pairs = quotients.iter_mut().zip(x);
    if size_of::<T>() == size_of::<f64>() || !reciprocal.is_normal() {
        for (quotient, x) in pairs {
            quotient.write(T::from_f64(x.to_f64() / divisor));
        }
        return;
    }
    // A product and one correction by what it leaves over, both fused, take less than a division. In double precision
    // this is the quotient but for its last bit, and exactly the quotient where that is a number of single precision.
    for (quotient, x) in pairs {
        let x = x.to_f64();
        let near = x * reciprocal;
        let rest = (-near).mul_add(divisor, x);
        quotient.write(T::from_f64(rest.mul_add(reciprocal, near)));
    }
}

/// Turns the `gradient` of the result of [`normalize_rows`] into that of `x`.
///
/// # Panics
/// If a length does not fit the shapes.
pub fn normalize_rows_backward<T: Real>(
    x: &[T],
    norms: &[f64],
    gradient: &mut [T],
    dim: usize,
    p: f64,
) {
    lengths::length("norms", norms.len(), lengths::rows("x", x.len(), dim));
    lengths::length("gradient", gradient.len(), x.len());
    for_each_row(gradient, dim, |i, gradient| {
        let x = &x[i * dim..][..dim];
        vectorized!(pull_back(x, norms[i], p, gradient));
    });
}

/// The gradient of one row on its way back.
#[inline(always)]
fn pull_back<T: Real>(x: &[T], norm: f64, p: f64, gradient: &mut [T]) {
    if norm == 0.0 {
        // What is not finite stays visible.
        for g in gradient {
            *g = *g * T::ZERO;
        }
        return;
    }
    let along = dot(gradient, x) / norm;
    if p != 2.0 {
        let mut slopes = vec![T::ZERO; x.len()];
        norm_gradient(x, p, norm, &mut slopes);
        for (g, slope) in gradient.iter_mut().zip(slopes) {
            *g = T::from_f64((g.to_f64() - along * slope.to_f64()) / norm);
        }
        return;
    }
    let scale = 1.0 / norm;
    if scale.is_normal() {
        for (g, x) in gradient.iter_mut().zip(x) {
            *g = T::from_f64((g.to_f64() - along * (x.to_f64() * scale)) * scale);
        }
    } else {
        for (g, x) in gradient.iter_mut().zip(x) {
            *g = T::from_f64((g.to_f64() - along * (x.to_f64() / norm)) / norm);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_four_becomes_point_six_point_eight() {
        let (unit, norms) = normalize_rows(&[3f32, 4., 0., 0.], 2, 2.0);
        assert_eq!(unit, [0.6, 0.8, 0., 0.]);
        assert_eq!(norms, [5., 0.]);
    }

    #[test]
    fn quotients_in_single_precision_are_rounded_once() {
        let mut state = 1u32;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from_bits(state >> 9 | 0x3f80_0000) - 1.5
        };
        for _ in 0..2000 {
            let row: Vec<f32> = (0..19).map(|_| draw()).collect();
            let (unit, norms) = normalize_rows(&row, row.len(), 2.0);
            for (unit, x) in unit.iter().zip(&row) {
                assert_eq!(*unit, (f64::from(*x) / norms[0]) as f32);
            }
        }
        let (unit, _) = normalize_rows(&[f32::INFINITY, 1.0], 2, 2.0);
        assert!(unit[0].is_nan() && unit[1] == 0.0);
    }

    #[test]
    fn norms_by_hand() {
        let row = [3f64, -4.];
        assert_eq!(norm(&row, 1.0), 7.0);
        assert_eq!(norm(&row, f64::INFINITY), 4.0);
        assert!((norm(&row, 3.0) - 91f64.cbrt()).abs() < 1e-12);
        assert!((norm(&[1e300f64, 1e300], 3.0) / (1e300 * 2f64.cbrt()) - 1.0).abs() < 1e-12);
    }

    const EXPONENTS: [f64; 5] = [1.0, 1.5, 2.0, 3.0, f64::INFINITY];

    #[test]
    fn a_row_of_zeros_has_gradient_zero() {
        for p in EXPONENTS {
            let (unit, norms) = normalize_rows(&[0f32; 4], 2, p);
            assert_eq!((unit, norms.clone()), (vec![0.0; 4], vec![0.0; 2]));
            let mut gradient = [1., 2., f32::NAN, 3.];
            normalize_rows_backward(&[0f32; 4], &norms, &mut gradient, 2, p);
            assert_eq!(gradient[..2], [0.0, 0.0]);
            assert!(gradient[2].is_nan(), "a NaN from above is not hidden");
        }
    }

    fn agrees<T: Real>(lengths: &[f64], digits: f64) {
        let shape = [3.0, -4.0, 1.0];
        for p in EXPONENTS {
            let of_shape = norm(&shape, p);
            for length in lengths {
                let row = shape.map(|x| T::from_f64(x * length));
                let (unit, norms) = normalize_rows(&row, 3, p);
                let upstream = [0.5, -0.2, 0.7];
                let mut gradient = upstream.map(T::from_f64);
                normalize_rows_backward(&row, &norms, &mut gradient, 3, p);
                let (_, ones) = normalize_rows(&shape, 3, p);
                let mut wanted = upstream;
                normalize_rows_backward(&shape, &ones, &mut wanted, 3, p);
                for k in 0..3 {
                    let want = shape[k] / of_shape;
                    assert!(
                        (unit[k].to_f64() - want).abs() < digits,
                        "p {p}, rows of {length:e}: {unit:?}"
                    );
                    let want = wanted[k] / length;
                    if want.abs() < T::MAX.to_f64() {
                        let got = gradient[k].to_f64();
                        assert!(
                            (got / want - 1.0).abs() < 30.0 * digits,
                            "p {p}, rows of {length:e}: {got:e} {want:e}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn rows_of_any_length_are_divided_by_their_true_norm() {
        agrees::<f32>(&[1e-36, 1e-30, 1e-13, 1e-5, 1.0, 1e12, 1e30, 8e37], 1e-6);
        // Subnormal coordinates have few digits.
        agrees::<f32>(&[1e-42], 1e-2);
        agrees::<f64>(&[1e-300, 1e-200, 1e-13, 1e-5, 1e30, 1e160, 1e300], 1e-14);
    }

    #[test]
    fn a_row_with_a_nan_is_nan_by_every_norm() {
        for p in EXPONENTS {
            let rows = [f32::NAN, 0.0, 1.0, f32::NAN, 3.0, 4.0];
            let (unit, norms) = normalize_rows(&rows, 2, p);
            assert!(unit[..4].iter().all(|x| x.is_nan()), "p {p}: {unit:?}");
            assert!(norms[..2].iter().all(|x| x.is_nan()));
            assert!(unit[4..].iter().all(|x| x.is_finite()));
            let mut gradient = [1f32; 6];
            normalize_rows_backward(&rows, &norms, &mut gradient, 2, p);
            assert!(gradient[..4].iter().all(|x| x.is_nan()), "p {p}");
            assert!(gradient[4..].iter().all(|x| x.is_finite()));
        }
    }

    #[test]
    fn gradient_agrees_with_central_differences() {
        let x = [0.3f64, -1.2, 0.7, 2.0, 0.1, -0.4];
        let weights = [0.5f64, -0.2, 1.0, 0.3, 0.9, -1.1];
        for p in EXPONENTS {
            let value = |x: &[f64]| -> f64 {
                normalize_rows(x, 3, p)
                    .0
                    .iter()
                    .zip(weights)
                    .map(|(a, w)| a * w)
                    .sum()
            };
            let (_, norms) = normalize_rows(&x, 3, p);
            let mut gradient = weights;
            normalize_rows_backward(&x, &norms, &mut gradient, 3, p);
            for k in 0..x.len() {
                let (mut up, mut down) = (x, x);
                up[k] += 1e-6;
                down[k] -= 1e-6;
                let slope = (value(&up) - value(&down)) / 2e-6;
                assert!(
                    (slope - gradient[k]).abs() < 1e-8,
                    "p {p}, entry {k}: {slope} {}",
                    gradient[k]
                );
            }
        }
    }
}
