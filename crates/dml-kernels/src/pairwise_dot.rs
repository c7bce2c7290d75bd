//! All dot products of the rows of two matrices, and their gradient.
//!
//! ```text
//! s(x, r) = Σₖ xₖ rₖ,   ∂s/∂x = r
//! ```
//!
//! Rows compared among themselves cost half in both directions: the matrix is symmetric, and both halves of the
//! gradient are multiplied at once.

use crate::lengths;
use crate::row_products::{row_products, row_products_among, weighted_sums};
use crate::{MatrixGradient, Real, Side};

/// Dot products `[queries, references]` of the rows of `x` `[queries, dim]` and `r` `[references, dim]`.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn pairwise_dot<T: Real>(x: &[T], r: &[T], dim: usize) -> Vec<T> {
    lengths::rows("x", x.len(), dim);
    lengths::rows("r", r.len(), dim);
    if dim == 0 || x.is_empty() || r.is_empty() {
        return Vec::new();
    }
    row_products(x, r, dim, T::ONE, |_, _, _| ())
}

/// Dot products `[rows, rows]` of the rows of `x` `[rows, dim]` among themselves.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn pairwise_dot_among<T: Real>(x: &[T], dim: usize) -> Vec<T> {
    lengths::rows("x", x.len(), dim);
    if dim == 0 || x.is_empty() {
        return Vec::new();
    }
    row_products_among(x, dim, T::ONE, |_, _, _| ())
}

/// The gradient of Σ g·s with respect to one side, given the rows of the other one and `g` `[queries, references]`.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn pairwise_dot_backward<T: Real>(
    others: &[T],
    gradient: &MatrixGradient<'_, T>,
    dim: usize,
    side: Side,
) -> Vec<T> {
    let (rows, columns) = side.shape(gradient.height(), gradient.width());
    lengths::length(
        "others",
        others.len(),
        lengths::area("others", columns, dim),
    );
    if side == Side::Both {
        lengths::length("gradient", rows, columns);
    }
    if dim == 0 || others.is_empty() {
        return vec![T::ZERO; lengths::area("rows", rows, dim)];
    }
    weighted_sums(
        rows,
        others,
        dim,
        |rows, columns, weights, scratch: &mut Vec<T>| {
            side.gather(gradient, rows, columns, weights, scratch);
        },
        |_, _, _| (),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_two_times_three_four_is_eleven() {
        let (x, r) = ([1f32, 2.], [3f32, 4., 0., -1.]);
        assert_eq!(pairwise_dot(&x, &r, 2), [11., -2.]);
        assert_eq!(pairwise_dot_among(&r, 2), [25., -4., -4., 1.]);
        assert_eq!(
            pairwise_dot_backward(
                &r,
                &MatrixGradient::written_out(&[10., 1.], 2),
                2,
                Side::Query
            ),
            [30., 39.]
        );
        assert_eq!(
            pairwise_dot_backward(
                &x,
                &MatrixGradient::written_out(&[10., 1.], 2),
                2,
                Side::Reference
            ),
            [10., 20., 1., 2.]
        );
        // Σ g s = 2 s₀₁ has gradient 2 r₁ and 2 r₀, whichever of the two entries g stands in.
        for g in [[0., 2., 0., 0.], [0., 0., 2., 0.]] {
            assert_eq!(
                pairwise_dot_backward(&r, &MatrixGradient::written_out(&g, 2), 2, Side::Both),
                [0., -2., 6., 8.]
            );
        }
    }

    #[test]
    fn every_block_edge_agrees_with_the_sum() {
        for (queries, references, dim) in [(1, 1, 1), (5, 300, 7), (140, 200, 3), (130, 65, 129)] {
            let x: Vec<f64> = (0..queries * dim).map(|i| (i % 13) as f64 - 6.0).collect();
            let r: Vec<f64> = (0..references * dim)
                .map(|i| (i % 11) as f64 - 5.0)
                .collect();
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let (all, among) = (pairwise_dot(&x, &r, dim), pairwise_dot_among(&x, dim));
            for (i, x) in x.chunks(dim).enumerate() {
                for (j, r) in r.chunks(dim).enumerate() {
                    assert_eq!(all[i * references + j], dot(x, r));
                }
            }
            for (i, a) in x.chunks(dim).enumerate() {
                for (j, b) in x.chunks(dim).enumerate() {
                    assert_eq!(among[i * queries + j], dot(a, b));
                }
            }
        }
    }

    #[test]
    fn nothing_is_nothing() {
        assert!(pairwise_dot::<f32>(&[], &[1.], 1).is_empty());
        assert!(pairwise_dot_among::<f32>(&[], 3).is_empty());
        assert!(
            pairwise_dot_backward::<f32>(&[], &MatrixGradient::written_out(&[], 0), 3, Side::Query)
                .is_empty()
        );
    }
}
