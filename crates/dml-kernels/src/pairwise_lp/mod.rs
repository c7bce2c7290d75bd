//! All distances between the rows of two matrices, and their gradient.
//!
//! ```text
//! d(x, r) = (Σₖ |xₖ − rₖ|ᵖ)^(1/p),  p >= 1;   maxₖ |xₖ − rₖ| for p = ∞
//! ∂d/∂xₖ = sign(xₖ − rₖ) (|xₖ − rₖ| / d)^(p−1),   0 where d = 0;   shared among tied maxima for p = ∞
//! ```
//!
//! For p = 2 see [`euclidean`](crate::euclidean); otherwise the differences are formed one by one.

pub(crate) mod direct;
mod exponent;
pub(crate) mod gradient;

use crate::euclidean::{Form, euclidean, euclidean_among, euclidean_backward};
use crate::lengths;
use crate::{MatrixGradient, Real, Side};

use exponent::Exponent;

/// Distances `[queries, references]` between the rows of `x` `[queries, dim]` and `r` `[references, dim]`.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn pairwise_lp<T: Real>(x: &[T], r: &[T], dim: usize, p: f64) -> Vec<T> {
    lengths::rows("x", x.len(), dim);
    lengths::rows("r", r.len(), dim);
    match Exponent::new(p) {
        Exponent::Two => euclidean(x, r, dim, Form::Distance),
        exponent => direct::distances(x, r, dim, exponent),
    }
}

/// Distances `[rows, rows]` of the rows of `x` `[rows, dim]` among themselves: symmetric, at half the cost.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn pairwise_lp_among<T: Real>(x: &[T], dim: usize, p: f64) -> Vec<T> {
    lengths::rows("x", x.len(), dim);
    match Exponent::new(p) {
        Exponent::Two => euclidean_among(x, dim, Form::Distance),
        exponent => direct::distances_among(x, dim, exponent),
    }
}

/// The gradient of Σ g·d with respect to `rows`, the rows of one side, for the distances and their gradient `g`, both
/// `[queries, references]`.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn pairwise_lp_backward<T: Real>(
    rows: &[T],
    others: &[T],
    distances: &[T],
    gradient: &MatrixGradient<'_, T>,
    dim: usize,
    p: f64,
    side: Side,
) -> Vec<T> {
    side.check(gradient, rows, others, distances, dim);
    match Exponent::new(p) {
        Exponent::Two => {
            euclidean_backward(rows, others, distances, gradient, dim, Form::Distance, side)
        }
        exponent => gradient::backward(rows, others, distances, gradient, dim, exponent, side),
    }
}

#[cfg(test)]
mod tests;
