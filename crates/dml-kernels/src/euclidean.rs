//! All Euclidean distances between the rows of two matrices, squared or not, by matrix products.
//!
//! ```text
//! ‖x − r‖² = ‖x − c‖² + ‖r − c‖² − 2 (x − c)·(r − c)      for any c; here about the mean of all rows
//! ∂/∂xᵢ Σ gᵢⱼ dᵢⱼ = (Σⱼ wᵢⱼ)(xᵢ − c) − Σⱼ wᵢⱼ (rⱼ − c),   wᵢⱼ = gᵢⱼ / dᵢⱼ,  or 2 gᵢⱼ for d = ‖x − r‖²
//! ```
//!
//! The expansion loses digits where rows are much closer to each other than to c. Those pairs, few in practice, are
//! found by comparing ‖x − r‖² with ‖x − c‖² + ‖r − c‖², and are computed again from their differences: values and
//! gradients of near-duplicates are as exact as all others, equal rows have distance 0 and gradient 0. Taking c off
//! keeps a cloud of rows far from the origin from being one great near-duplicate.

mod backward;

use std::ops::Range;

use rayon::prelude::*;

use crate::in_place::InPlace;
use crate::lengths;
use crate::pairwise_lp::direct::{self, euclidean_of_pair};
use crate::pairwise_lp::gradient;
use crate::row_chunks::worth_a_thread;
use crate::row_products::{row_products, row_products_among};
use crate::{MatrixGradient, Real, Side, vectorized};
use backward::Backward;

/// Below this many coordinates a matrix product gains nothing over the differences themselves.
const WORTHWHILE: usize = 16;
/// The same for rows of the smaller side.
const WORTHWHILE_ROWS: usize = 4;
/// How many rows the centre is the mean of, at most: any point will do, and a good one keeps digits.
const SAMPLE: usize = 256;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// ‖x − r‖.
    Distance,
    /// ‖x − r‖².
    Squared,
}

impl Form {
    /// The value of a squared distance.
    #[inline(always)]
    pub(crate) fn of_square<T: Real>(self, square: T) -> T {
        match self {
            Self::Distance => square.sqrt(),
            Self::Squared => square,
        }
    }

    /// The squared distance of a value.
    #[inline(always)]
    fn square<T: Real>(self, value: T) -> T {
        match self {
            Self::Distance => value * value,
            Self::Squared => value,
        }
    }

    /// The weight of the difference x − r in the gradient.
    #[inline(always)]
    pub(crate) fn weight<T: Real>(self, value: T, gradient: T) -> T {
        match self {
            Self::Distance => gradient / value,
            Self::Squared => gradient + gradient,
        }
    }
}

/// Distances `[queries, references]` between the rows of `x` `[queries, dim]` and `r` `[references, dim]`.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn euclidean<T: Real>(x: &[T], r: &[T], dim: usize, form: Form) -> Vec<T> {
    lengths::rows("x", x.len(), dim);
    lengths::rows("r", r.len(), dim);
    match Centered::of_both(x, r, dim) {
        None => direct::euclidean(x, r, dim, form),
        Some((left, right)) => {
            let settle = Settle::new((x, &left), (r, &right), dim, form);
            let factor = T::from_f64(-2.0);
            row_products(&left.rows, &right.rows, dim, factor, |i, j, v| {
                settle.piece(i, j, v);
            })
        }
    }
}

/// Distances `[rows, rows]` of the rows of `x` `[rows, dim]` among themselves: symmetric, at half the cost.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn euclidean_among<T: Real>(x: &[T], dim: usize, form: Form) -> Vec<T> {
    lengths::rows("x", x.len(), dim);
    match Centered::of_one(x, dim) {
        None => direct::euclidean_among(x, dim, form),
        Some(rows) => {
            let settle = Settle::new((x, &rows), (x, &rows), dim, form);
            let factor = T::from_f64(-2.0);
            row_products_among(&rows.rows, dim, factor, |i, j, v| settle.piece(i, j, v))
        }
    }
}

/// The gradient of Σ g·d with respect to `rows`, the rows of one side, for the distances of [`euclidean`] (or
/// [`euclidean_among`], with both sides the same) and their gradient `g`, both `[queries, references]`.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn euclidean_backward<T: Real>(
    rows: &[T],
    others: &[T],
    values: &[T],
    gradient: &MatrixGradient<'_, T>,
    dim: usize,
    form: Form,
    side: Side,
) -> Vec<T> {
    side.check(gradient, rows, others, values, dim);
    let centered = if side == Side::Both {
        Centered::of_one(rows, dim).map(|rows| (rows.clone(), rows))
    } else {
        Centered::of_both(rows, others, dim)
    };
    let Some((left, right)) = centered else {
        return gradient::euclidean_backward(rows, others, values, gradient, dim, form, side);
    };
    let backward = Backward {
        rows: (rows, &left),
        others: (others, &right),
        values,
        gradient,
        dim,
        form,
        side,
    };
    backward.run()
}

/// Rows with the centre taken off, and their squared lengths.
#[derive(Clone)]
struct Centered<T> {
    rows: Vec<T>,
    squares: Vec<T>,
}

impl<T: Real> Centered<T> {
    /// `None` where matrix products are of no use: for few rows or coordinates, and where anything is not finite.
    fn of_both(x: &[T], r: &[T], dim: usize) -> Option<(Self, Self)> {
        if dim < WORTHWHILE || x.len().min(r.len()) < WORTHWHILE_ROWS * dim {
            return None;
        }
        let center = center(&[x, r], dim);
        let (x, r) = (Self::new(x, &center), Self::new(r, &center));
        (x.is_finite() && r.is_finite()).then_some((x, r))
    }

    fn of_one(x: &[T], dim: usize) -> Option<Self> {
        if dim < WORTHWHILE || x.len() < WORTHWHILE_ROWS * dim {
            return None;
        }
        let rows = Self::new(x, &center(&[x], dim));
        rows.is_finite().then_some(rows)
    }

    fn new(rows: &[T], center: &[T]) -> Self {
        let dim = center.len();
        let mut centered = vec![T::ZERO; rows.len()];
        let mut squares = vec![T::ZERO; rows.len() / dim];
        centered
            .par_chunks_mut(64 * dim)
            .zip(rows.par_chunks(64 * dim))
            .zip(squares.par_chunks_mut(64))
            .with_min_len(worth_a_thread(64 * dim))
            .for_each_in_place(|((centered, rows), squares)| {
                vectorized!({
                    let rows = centered.chunks_exact_mut(dim).zip(rows.chunks_exact(dim));
                    for ((out, row), square) in rows.zip(squares.iter_mut()) {
                        for ((out, x), c) in out.iter_mut().zip(row).zip(center) {
                            *out = *x - *c;
                        }
                        *square = T::from_f64(crate::normalize::sum_of_squares(out));
                    }
                });
            });
        Self {
            rows: centered,
            squares,
        }
    }

    fn is_finite(&self) -> bool {
        self.squares
            .iter()
            .all(|square| square.to_f64().is_finite())
    }
}

/// The mean of a sample of all rows.
fn center<T: Real>(sides: &[&[T]], dim: usize) -> Vec<T> {
    let mut sums = vec![0f64; dim];
    let mut count = 0.0;
    for side in sides {
        let step = (side.len() / dim).div_ceil(SAMPLE);
        for row in side.chunks_exact(dim).step_by(step.max(1)) {
            count += 1.0;
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += x.to_f64();
            }
        }
    }
    sums.into_iter()
        .map(|sum| T::from_f64(sum / count))
        .collect()
}

/// Below which share of ‖x − c‖² + ‖r − c‖² a squared distance has lost too many digits.
///
/// The expansion errs by a few roundings of that sum: at these shares, by some 1e-5 (1e-11 in double precision) of the
/// squared distance.
fn least_share<T>() -> f64 {
    if size_of::<T>() == 4 { 1e-2 } else { 1e-5 }
}

/// The same for gradients, which lose digits with the distance, not with its square.
fn least_share_of_gradient<T>() -> f64 {
    if size_of::<T>() == 4 { 1e-3 } else { 1e-7 }
}

/// A sum of squares below which single digits of the terms are lost to underflow.
fn least_sum<T>() -> f64 {
    if size_of::<T>() == 4 { 1e-30 } else { 1e-290 }
}

/// How many values are looked at together.
const LANES: usize = 16;

/// Whether any of the values, one for each of `squares`, is not far enough to be trusted: marked by `far` false.
#[derive(Clone, Copy)]
struct Trust<T> {
    share: T,
    sum: T,
}

impl<T: Real> Trust<T> {
    fn new(share: f64) -> Self {
        Self {
            share: T::from_f64(share),
            sum: T::from_f64(least_sum::<T>()),
        }
    }

    /// How far `square` is above what can be trusted, for two squared lengths that add up to `sum`.
    #[inline(always)]
    fn slack(&self, square: T, sum: T) -> T {
        square - (self.share * sum + self.sum)
    }
}

/// The last step of the forward pass: from −2 x·r to the distance.
struct Settle<'a, T> {
    x: (&'a [T], &'a [T]),
    r: (&'a [T], &'a [T]),
    dim: usize,
    form: Form,
}

impl<'a, T: Real> Settle<'a, T> {
    fn new(
        (x, left): (&'a [T], &'a Centered<T>),
        (r, right): (&'a [T], &'a Centered<T>),
        dim: usize,
        form: Form,
    ) -> Self {
        Self {
            x: (x, &left.squares),
            r: (r, &right.squares),
            dim,
            form,
        }
    }

    fn piece(&self, i: usize, columns: Range<usize>, values: &mut [T]) {
        let trust = Trust::new(least_share::<T>());
        let (own, squares) = (self.x.1[i], &self.r.1[columns.clone()]);
        let form = self.form;
        let least = vectorized!(expand(values, own, squares, trust, form));
        if least > T::ZERO {
            return;
        }
        let x = &self.x.0[i * self.dim..][..self.dim];
        // The roundings of a root that is squared again must not hide one that was not trusted.
        let trust = Trust::new(1.001 * least_share::<T>());
        for ((j, value), square) in columns.zip(values).zip(squares) {
            let far = trust.slack(form.square(*value), own + *square) > T::ZERO;
            if !far {
                let r = &self.r.0[j * self.dim..][..self.dim];
                *value = vectorized!(euclidean_of_pair(x, r, form));
            }
        }
    }
}

/// From −2 x·r to the distance; returns the least slack.
#[inline(always)]
fn expand<T: Real>(values: &mut [T], own: T, squares: &[T], trust: Trust<T>, form: Form) -> T {
    let mut least = [T::ONE; LANES];
    for (values, squares) in values.chunks_mut(LANES).zip(squares.chunks(LANES)) {
        for ((value, square), least) in values.iter_mut().zip(squares).zip(&mut least) {
            let sum = own + *square;
            let distance = sum + *value;
            let slack = trust.slack(distance, sum);
            *least = if slack < *least { slack } else { *least };
            let distance = if distance > T::ZERO {
                distance
            } else {
                T::ZERO
            };
            *value = form.of_square(distance);
        }
    }
    smallest(least)
}

#[inline(always)]
fn smallest<T: Real>(lanes: [T; LANES]) -> T {
    lanes
        .into_iter()
        .fold(T::ONE, |a, b| if b < a { b } else { a })
}

#[cfg(test)]
mod tests;
