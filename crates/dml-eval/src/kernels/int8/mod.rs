//! Codes of one byte a coordinate: real numbers as whole multiples of a step of their row.
//!
//! ```text
//! step(x) = maxₖ |xₖ| / 127,   code(x)ₖ = xₖ / step(x), rounded,   x·y ≈ step(x) step(y) Σₖ code(x)ₖ code(y)ₖ
//! ```
//!
//! A coordinate is off by half a step at most. A row of zeros has step 0 and codes 0.

mod nearest;
// Elsewhere no instructions are ever available.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, unused_variables))]
mod products;

use dml_core::kernels::Real;
use dml_core::kernels::in_place::InPlace;
use dml_core::kernels::lengths;
use rayon::prelude::*;

pub(crate) use nearest::{Int8References, nearest};

/// Codes of rows, and their steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Int8Rows {
    /// `[rows, dim]`.
    pub(crate) codes: Vec<i8>,
    /// One a row.
    pub(crate) steps: Vec<f32>,
}

/// The codes of the rows of `x` `[rows, dim]`, which are finite numbers.
///
/// # Panics
/// If a length does not fit the shapes.
pub(crate) fn quantize<T: Real>(x: &[T], dim: usize) -> Int8Rows {
    lengths::rows("x", x.len(), dim);
    let rows: Vec<(Vec<i8>, f32)> = x
        .par_chunks_exact(dim.max(1))
        .with_min_len(64)
        .map_in_place(|row| {
            let largest = row
                .iter()
                .fold(0.0, |most: f64, x| most.max(x.to_f64().abs()));
            let step = largest / 127.0;
            let code = |x: &T| {
                if step > 0.0 {
                    (x.to_f64() / step).round() as i8
                } else {
                    0
                }
            };
            (row.iter().map(code).collect(), step as f32)
        });
    let mut all = Int8Rows::default();
    for (codes, step) in rows {
        all.codes.extend(codes);
        all.steps.push(step);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_multiples_of_the_rows_step() {
        let rows = quantize(&[1f32, -0.5, 0.0, 0.0], 2);
        assert_eq!(rows.codes, [127, -64, 0, 0]);
        assert_eq!(rows.steps, [1. / 127., 0.]);
    }

    #[test]
    fn a_coordinate_is_off_by_half_a_step_at_most() {
        let x: Vec<f64> = (0..60).map(|i| f64::from(i * i % 37) - 11.3).collect();
        let rows = quantize(&x, 6);
        for (i, (x, code)) in x.iter().zip(&rows.codes).enumerate() {
            let step = f64::from(rows.steps[i / 6]);
            assert!((x - step * f64::from(*code)).abs() <= 0.5001 * step);
        }
    }
}
