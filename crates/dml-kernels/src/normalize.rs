//! Rows divided by their p-norm, and the gradient of that.
//!
//! ```text
//! x̂ = x / max(‖x‖ₚ, ε),   ε = 1e-12
//! ∂/∂x = (g − (g·x̂) ∂‖x‖ₚ/∂x) / ‖x‖ₚ     g / ε where ‖x‖ₚ < ε
//! ```

use pulp::Arch;
use rayon::prelude::*;

use crate::here::Here;
use crate::row_chunks::worth_a_thread;
use crate::zeros::unwritten;
use crate::{Real, for_each_row, zeros};

/// Rows that one task takes at a time.
const ROWS: usize = 32;
/// Sums that run side by side: one alone would wait four cycles for every addition.
const LANES: usize = 8;

/// The smallest divisor, as in PyTorch's `normalize`.
pub const EPSILON: f64 = 1e-12;

/// ‖x‖ₚ for `p >= 1`, infinity included; sums run in double precision.
#[must_use]
#[inline(always)]
pub fn norm<T: Real>(row: &[T], p: f64) -> f64 {
    let magnitudes = row.iter().map(|x| x.to_f64().abs());
    if p == 2.0 {
        sum_of_squares(row).sqrt()
    } else if p == 1.0 {
        magnitudes.sum()
    } else if p.is_infinite() {
        magnitudes.fold(0.0, f64::max)
    } else {
        // Scaled by the largest entry: xᵖ alone would overflow or vanish for ordinary rows when p is large.
        let top = magnitudes.clone().fold(0.0, f64::max);
        if top == 0.0 || !top.is_finite() {
            return top;
        }
        top * magnitudes
            .map(|x| (x / top).powf(p))
            .sum::<f64>()
            .powf(1.0 / p)
    }
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
#[inline(always)]
pub fn norm_gradient<T: Real>(row: &[T], p: f64, norm: f64, out: &mut [T]) {
    if norm == 0.0 {
        out.fill(T::ZERO);
        return;
    }
    if p == 2.0 {
        let scale = 1.0 / norm;
        for (o, x) in out.iter_mut().zip(row) {
            *o = T::from_f64(x.to_f64() * scale);
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
#[must_use]
pub fn normalize_rows<T: Real>(x: &[T], dim: usize, p: f64) -> (Vec<T>, Vec<f64>) {
    let arch = Arch::new();
    let mut norms = vec![0.0; x.len().checked_div(dim).unwrap_or(0)];
    let mut unit = unwritten::<T>(x.len());
    let room = &mut unit.spare_capacity_mut()[..x.len()];
    let run = (ROWS * dim).max(1);
    room.par_chunks_mut(run)
        .zip(x.par_chunks(run))
        .zip(norms.par_chunks_mut(ROWS))
        .with_min_len(worth_a_thread(run))
        .for_each_here(|((unit, x), norms)| {
            arch.dispatch(|| {
                let rows = unit.chunks_exact_mut(dim).zip(x.chunks_exact(dim));
                for ((unit, x), norm_of_row) in rows.zip(norms) {
                    *norm_of_row = norm(x, p);
                    // A quotient, not a product with the reciprocal, and rounded once: what is nearly a tie stays one, and
                    // softmaxes of high sharpness see every digit.
                    let divisor = norm_of_row.max(EPSILON);
                    for (unit, x) in unit.iter_mut().zip(x) {
                        unit.write(T::from_f64(x.to_f64() / divisor));
                    }
                }
            });
        });
    // SAFETY: every row of `x` has written its row of the room, and there is no more of it.
    #[allow(unsafe_code)]
    unsafe {
        unit.set_len(x.len());
    }
    (unit, norms)
}

/// The gradient of [`normalize_rows`] with respect to `x`, given the gradient of its result.
#[must_use]
pub fn normalize_rows_backward<T: Real>(
    x: &[T],
    norms: &[f64],
    gradient: &[T],
    dim: usize,
    p: f64,
) -> Vec<T> {
    let arch = Arch::new();
    let mut out = zeros(x.len());
    for_each_row(&mut out, dim, |i, out| {
        let (x, g) = (&x[i * dim..][..dim], &gradient[i * dim..][..dim]);
        let norm = norms[i];
        arch.dispatch(|| {
            if norm < EPSILON {
                for (o, g) in out.iter_mut().zip(g) {
                    *o = T::from_f64(g.to_f64() / EPSILON);
                }
                return;
            }
            let along = dot(g, x) / norm;
            let scale = 1.0 / norm;
            if p == 2.0 {
                let back = along * scale * scale;
                for ((o, g), x) in out.iter_mut().zip(g).zip(x) {
                    *o = T::from_f64(g.to_f64() * scale - back * x.to_f64());
                }
                return;
            }
            norm_gradient(x, p, norm, out);
            for (o, g) in out.iter_mut().zip(g) {
                *o = T::from_f64((g.to_f64() - along * o.to_f64()) * scale);
            }
        });
    });
    out
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
    fn norms_by_hand() {
        let row = [3f64, -4.];
        assert_eq!(norm(&row, 1.0), 7.0);
        assert_eq!(norm(&row, f64::INFINITY), 4.0);
        assert!((norm(&row, 3.0) - 91f64.cbrt()).abs() < 1e-12);
        assert!((norm(&[1e300f64, 1e300], 3.0) / (1e300 * 2f64.cbrt()) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn gradient_of_a_zero_row_is_the_incoming_one_over_epsilon() {
        let gradient = normalize_rows_backward(&[0f64, 0.], &[0.], &[1., 2.], 2, 2.0);
        assert_eq!(gradient, [1e12, 2e12]);
    }

    #[test]
    fn gradient_agrees_with_central_differences() {
        let x = [0.3f64, -1.2, 0.7, 2.0, 0.1, -0.4];
        let weights = [0.5f64, -0.2, 1.0, 0.3, 0.9, -1.1];
        for p in [1.0, 1.5, 2.0, 3.0, f64::INFINITY] {
            let value = |x: &[f64]| -> f64 {
                normalize_rows(x, 3, p)
                    .0
                    .iter()
                    .zip(weights)
                    .map(|(a, w)| a * w)
                    .sum()
            };
            let (_, norms) = normalize_rows(&x, 3, p);
            let gradient = normalize_rows_backward(&x, &norms, &weights, 3, p);
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
