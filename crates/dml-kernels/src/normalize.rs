//! Rows divided by their p-norm, and the gradient of that.
//!
//! ```text
//! x̂ = x / max(‖x‖ₚ, ε),   ε = 1e-12
//! ∂/∂x = (g − (g·x̂) ∂‖x‖ₚ/∂x) / ‖x‖ₚ     g / ε where ‖x‖ₚ < ε
//! ```

use crate::{Real, for_each_row};
use pulp::Arch;

/// The smallest divisor, as in PyTorch's `normalize`.
pub const EPSILON: f64 = 1e-12;

/// ‖x‖ₚ for `p >= 1`, infinity included; sums run in double precision.
#[must_use]
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

pub(crate) fn sum_of_squares<T: Real>(row: &[T]) -> f64 {
    // Eight running sums: one alone would wait four cycles for every addition.
    let mut lanes = [0f64; 8];
    let mut chunks = row.chunks_exact(8);
    for chunk in &mut chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            let x = x.to_f64();
            *lane += x * x;
        }
    }
    let rest: f64 = chunks
        .remainder()
        .iter()
        .map(|x| x.to_f64() * x.to_f64())
        .sum();
    lanes.iter().sum::<f64>() + rest
}

/// ∂‖x‖ₚ/∂x written to `out`; 0 for a zero row, and shared evenly among tied maxima for p = ∞.
pub fn norm_gradient<T: Real>(row: &[T], p: f64, norm: f64, out: &mut [T]) {
    if norm == 0.0 {
        out.fill(T::ZERO);
        return;
    }
    let ties = row
        .iter()
        .filter(|x| x.to_f64().abs() == norm)
        .count()
        .max(1) as f64;
    for (o, x) in out.iter_mut().zip(row) {
        let x = x.to_f64();
        *o = T::from_f64(if p == 2.0 {
            x / norm
        } else if x == 0.0 {
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
    let norms: Vec<f64> =
        arch.dispatch(|| x.chunks_exact(dim.max(1)).map(|row| norm(row, p)).collect());
    let mut out = x.to_vec();
    for_each_row(&mut out, dim, |i, row| {
        let divisor = norms[i].max(EPSILON);
        arch.dispatch(|| {
            for value in row {
                *value = T::from_f64(value.to_f64() / divisor);
            }
        });
    });
    (out, norms)
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
    let mut out = vec![T::ZERO; x.len()];
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
            norm_gradient(x, p, norm, out);
            let along: f64 = g
                .iter()
                .zip(x)
                .map(|(g, x)| g.to_f64() * x.to_f64())
                .sum::<f64>()
                / norm;
            for (o, g) in out.iter_mut().zip(g) {
                *o = T::from_f64((g.to_f64() - along * o.to_f64()) / norm);
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
