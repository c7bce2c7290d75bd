//! Each row of a matrix divided by a number of its own.
//!
//! ```text
//! y[i][j] = x[i][j] / d[i],   ∂L/∂x[i][j] = g[i][j] / d[i],   ∂L/∂d[i] = −Σⱼ g[i][j] y[i][j] / d[i]
//! ```

use rayon::prelude::*;

use crate::in_place::InPlace;
use crate::lengths;
use crate::row_chunks::worth_a_thread;
use crate::{Real, for_each_row, zeros};

/// `x` `[rows, width]` with row i divided by `divisors[i]`.
///
/// ```
/// assert_eq!(dml_kernels::divided_rows::divided_rows(&[1f32, 2., 3., 4.], &[1., 2.], 2), [1., 2., 1.5, 2.]);
/// ```
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn divided_rows<T: Real>(x: &[T], divisors: &[T], width: usize) -> Vec<T> {
    let rows = lengths::rows("x", x.len(), width);
    if width > 0 {
        lengths::length("divisors", divisors.len(), rows);
    }
    let mut out = zeros(x.len());
    for_each_row(&mut out, width, |i, out| {
        for (out, x) in out.iter_mut().zip(&x[i * width..]) {
            *out = *x / divisors[i];
        }
    });
    out
}

/// The gradient of Σ g·y with respect to the divisors, given the quotients `y`: `[rows]`.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn divisor_gradient<T: Real>(
    quotients: &[T],
    gradient: &[T],
    divisors: &[T],
    width: usize,
) -> Vec<T> {
    let rows = lengths::rows("quotients", quotients.len(), width);
    lengths::length("gradient", gradient.len(), quotients.len());
    if width > 0 {
        lengths::length("divisors", divisors.len(), rows);
    }
    if width == 0 {
        return vec![T::ZERO; divisors.len()];
    }
    quotients
        .par_chunks(width)
        .zip(gradient.par_chunks(width))
        .zip(divisors)
        .with_min_len(worth_a_thread(width))
        .map_in_place(|((quotients, gradient), divisor)| {
            let products = quotients.iter().zip(gradient);
            let sum: f64 = products.map(|(y, g)| y.to_f64() * g.to_f64()).sum();
            T::from_f64(-sum / divisor.to_f64())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_of_the_divisors_by_hand() {
        let (x, divisors) = ([6f64, 2., 0., 9.], [2., 3.]);
        let y = divided_rows(&x, &divisors, 2);
        assert_eq!(y, [3., 1., 0., 3.]);
        // −(1·6 + 10·2) / 2² and −(5·0 + 1·9) / 3².
        let gradient = divisor_gradient(&y, &[1., 10., 5., 1.], &divisors, 2);
        assert_eq!(gradient, [-6.5, -1.0]);
    }

    #[test]
    fn every_length_of_row_is_divided() {
        for (rows, width) in [(0, 3), (3, 0), (5, 7), (2, 20_000), (40, 1_000)] {
            let x = vec![6f32; rows * width];
            let divisors: Vec<f32> = (0..rows).map(|i| (i + 1) as f32).collect();
            let y = divided_rows(&x, &divisors, width);
            assert_eq!(y.len(), rows * width);
            for (i, y) in y.iter().enumerate() {
                assert_eq!(*y, 6.0 / (i / width + 1) as f32);
            }
            let gradient = divisor_gradient(&y, &x, &divisors, width);
            assert_eq!(gradient.len(), rows);
        }
    }
}
