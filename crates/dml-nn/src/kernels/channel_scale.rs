//! The gradient of a factor for every plane.
//!
//! ```text
//! y = s x,   ∂y/∂s = Σ x over the plane
//! ```

use rayon::prelude::*;

use dml_core::kernels::Real;
use dml_core::kernels::in_place::InPlace;
use dml_core::kernels::lengths;

/// Pixels that are worth a thread.
const WORK: usize = 16 * 1024;

/// The products of two planes, summed: the gradient of the factors, given input and gradient of the result.
#[must_use]
pub(crate) fn factor_gradient<T: Real>(input: &[T], gradient: &[T], factors: usize) -> Vec<T> {
    lengths::length("gradient", gradient.len(), input.len());
    let area = input.len() / factors.max(1);
    let mut out = vec![T::ZERO; factors];
    if area == 0 {
        return out;
    }
    out.par_iter_mut()
        .zip(input.par_chunks(area).zip(gradient.par_chunks(area)))
        .with_min_len(WORK.div_ceil(area))
        .for_each_in_place(|(out, (x, gradient))| *out = dot(x, gradient));
    out
}

/// Number of partial sums, so that products of a register go side by side.
const LANES: usize = 16;

fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [T::ZERO; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += *a * *b;
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| (*a * *b).to_f64());
    T::from_f64(sums.iter().map(|sum| sum.to_f64()).sum::<f64>() + rest.sum::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let x = [1f32, 2., 3., 4.];
        assert_eq!(
            factor_gradient(&x, &[1., 10., 100., 1000.], 2),
            [21., 4300.]
        );
        let long: Vec<f64> = (0..37).map(f64::from).collect();
        assert_eq!(factor_gradient(&long, &[2.; 37], 1), [36. * 37.]);
    }
}
