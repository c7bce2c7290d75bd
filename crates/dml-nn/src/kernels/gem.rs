//! Generalised mean of every plane, forward and backward.
//!
//! ```text
//! c = max(x, ε),   m = mean of cᵖ,   y = m^(1/p)
//! ∂y/∂x = y^(1−p) c^(p−1) / n for x ≥ ε, else 0
//! ∂y/∂p = y ((mean of cᵖ ln c) / (p m) − ln m / p²)
//! ```

use rayon::prelude::*;

use dml_core::kernels::Real;
use dml_core::kernels::in_place::InPlace;
use dml_core::kernels::lengths;

/// Pixels that are worth a thread.
const WORK: usize = 2 * 1024;

/// max(x, ε); NaN stays NaN.
#[inline(always)]
fn clamped<T: Real>(x: T, eps: T) -> T {
    if x < eps { eps } else { x }
}

/// m and the mean of cᵖ ln c.
fn means<T: Real>(plane: &[T], p: T, eps: T) -> [f64; 2] {
    let [mut powers, mut logarithms] = [0.0; 2];
    for x in plane {
        let c = clamped(*x, eps);
        let power = c.powf(p).to_f64();
        powers += power;
        logarithms += power * c.to_f64().ln();
    }
    [powers, logarithms].map(|sum| sum / plane.len() as f64)
}

/// y of `[planes, area]`.
#[must_use]
pub(crate) fn forward<T: Real>(input: &[T], area: usize, p: T, eps: T) -> Vec<T> {
    let planes = lengths::rows("input", input.len(), area);
    let mut out = vec![T::ZERO; planes];
    out.par_iter_mut()
        .zip(input.par_chunks(area.max(1)))
        .with_min_len(WORK.div_ceil(area.max(1)))
        .for_each_in_place(|(out, plane)| {
            let sum: f64 = plane
                .iter()
                .map(|x| clamped(*x, eps).powf(p).to_f64())
                .sum();
            *out = T::from_f64((sum / area as f64).powf(1.0 / p.to_f64()));
        });
    out
}

/// The gradients of the input and of p, given y and its gradient.
#[must_use]
pub(crate) fn backward<T: Real>(
    input: &[T],
    area: usize,
    p: T,
    eps: T,
    output: &[T],
    gradient: &[T],
) -> (Vec<T>, T) {
    let planes = lengths::rows("input", input.len(), area);
    lengths::length("output", output.len(), planes);
    lengths::length("gradient", gradient.len(), planes);
    let mut out = vec![T::ZERO; input.len()];
    let exponent = p.to_f64();
    let parts = out
        .par_chunks_mut(area.max(1))
        .zip(input.par_chunks(area.max(1)))
        .zip(output.par_iter().zip(gradient.par_iter()))
        .with_min_len(WORK.div_ceil(area.max(1)))
        .map_in_place(|((out, plane), (y, gradient))| {
            let [mean, logarithms] = means(plane, p, eps);
            let (y, gradient) = (y.to_f64(), gradient.to_f64());
            let factor = gradient * y.powf(1.0 - exponent) / area as f64;
            for (out, x) in out.iter_mut().zip(plane) {
                let c = clamped(*x, eps);
                // NaN comes through.
                if *x >= eps || x.is_nan() {
                    *out = T::from_f64(factor * c.powf(p - T::ONE).to_f64());
                }
            }
            gradient * y * (logarithms / (exponent * mean) - mean.ln() / (exponent * exponent))
        });
    (out, T::from_f64(parts.into_iter().sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // √((1 + 49) / 2) = 5, with the second plane at ε.
        let x = [1f64, 7., -3., 0.];
        assert_eq!(forward(&x, 2, 2.0, 1e-6), [5., 1e-6]);
        let y = [5., 1e-6];
        let (gradient, _) = backward(&x, 2, 2.0, 1e-6, &y, &[10., 1.]);
        // ∂y/∂x = x / (2 y)
        assert_eq!(gradient, [1., 7., 0., 0.]);
    }

    #[test]
    fn the_gradient_of_the_exponent_is_the_limit_of_differences() {
        let x = [0.5f64, 1.5, 2.0, 0.1, 0.7, 3.0];
        let weights = [2.0, -1.0];
        let value = |p: f64| -> f64 {
            let y = forward(&x, 3, p, 1e-6);
            y.iter().zip(weights).map(|(y, w)| y * w).sum()
        };
        let y = forward(&x, 3, 3.0, 1e-6);
        let (_, gradient) = backward(&x, 3, 3.0, 1e-6, &y, &weights);
        let h = 1e-5;
        let difference = (value(3.0 + h) - value(3.0 - h)) / (2.0 * h);
        assert!(
            (gradient - difference).abs() < 1e-9,
            "{gradient} {difference}"
        );
    }
}
