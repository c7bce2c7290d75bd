//! The gradient of distances that were computed by a matrix product.

use std::ops::Range;

use super::{Centered, Form, LANES, Trust, least_share_of_gradient, smallest};
use crate::pairwise_lp::gradient;
use crate::row_products::weighted_sums;
use crate::transpose::transpose;
use crate::{MatrixGradient, Real, Side, vectorized};

/// The backward pass: whose gradient, from what.
pub(super) struct Backward<'a, T> {
    pub(super) rows: (&'a [T], &'a Centered<T>),
    pub(super) others: (&'a [T], &'a Centered<T>),
    pub(super) values: &'a [T],
    pub(super) gradient: &'a MatrixGradient<'a, T>,
    pub(super) dim: usize,
    pub(super) form: Form,
    pub(super) side: Side,
}

/// What a block of rows gathers beside its weighted sums.
#[derive(Default)]
struct Block<T> {
    /// Σⱼ wᵢⱼ.
    totals: Vec<f64>,
    /// Row, other row, value and gradient of the pairs that are left out of the sums, to be added directly.
    near: Vec<(usize, usize, T, T)>,
    /// Values as this side sees them, where they are not stored so.
    values: Vec<T>,
    /// For what has to be turned around.
    scratch: Vec<T>,
}

impl<T: Real> Backward<'_, T> {
    pub(super) fn run(&self) -> Vec<T> {
        let count = self.rows.1.squares.len();
        weighted_sums(
            count,
            &self.others.1.rows,
            self.dim,
            |rows, columns, weights, block: &mut Block<T>| {
                self.weigh(rows, columns, weights, block);
            },
            |rows, block, out| self.finish(rows, &block, out),
        )
    }

    fn weigh(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        weights: &mut [T],
        block: &mut Block<T>,
    ) {
        let (width, count) = (self.gradient.width(), columns.len());
        let scratch = &mut block.scratch;
        self.side.gather(
            self.gradient,
            rows.clone(),
            columns.clone(),
            weights,
            scratch,
        );
        block.totals.resize(rows.len(), 0.0);
        // Distances of rows among themselves are symmetric: no need to turn them around.
        let stored = self.side != Side::Reference;
        if !stored {
            block.values.resize(weights.len(), T::ZERO);
            let source = &self.values[columns.start * width + rows.start..];
            transpose(source, width, count, rows.len(), &mut block.values, count);
        }
        let trust = Trust::new(least_share_of_gradient::<T>());
        let squares = &self.others.1.squares[columns.clone()];
        for (k, (i, weights)) in rows.zip(weights.chunks_exact_mut(count)).enumerate() {
            let values = if stored {
                &self.values[i * width + columns.start..][..count]
            } else {
                &block.values[k * count..][..count]
            };
            let own = self.rows.1.squares[i];
            let (total, least) =
                vectorized!(weigh(weights, values, own, squares, trust, self.form));
            block.totals[k] += total;
            if least > T::ZERO {
                continue;
            }
            for ((j, value), square) in columns.clone().zip(values).zip(squares) {
                let far = trust.slack(self.form.square(*value), own + *square) > T::ZERO;
                if !far && *value != T::ZERO {
                    let gradient = self.side.entry(self.gradient, i, j);
                    block.near.push((i, j, *value, gradient));
                }
            }
        }
    }

    /// From Σⱼ wᵢⱼ (rⱼ − c) to the gradient.
    fn finish(&self, rows: Range<usize>, block: &Block<T>, out: &mut [T]) {
        let dim = self.dim;
        for ((i, total), out) in rows
            .clone()
            .zip(&block.totals)
            .zip(out.chunks_exact_mut(dim))
        {
            let total = T::from_f64(*total);
            for (out, x) in out.iter_mut().zip(&self.rows.1.rows[i * dim..]) {
                *out = total * *x - *out;
            }
        }
        for &(i, j, value, gradient) in &block.near {
            let (x, r) = (
                &self.rows.0[i * dim..][..dim],
                &self.others.0[j * dim..][..dim],
            );
            let out = &mut out[(i - rows.start) * dim..][..dim];
            gradient::add_euclidean(x, r, self.form, value, gradient, out);
        }
    }
}

/// From gradients to weights, 0 where they can't be trusted; returns their sum and the least slack.
#[inline(always)]
fn weigh<T: Real>(
    weights: &mut [T],
    values: &[T],
    own: T,
    squares: &[T],
    trust: Trust<T>,
    form: Form,
) -> (f64, T) {
    let mut least = [T::ONE; LANES];
    // Each lane adds up few enough weights for single precision to do.
    let mut totals = [T::ZERO; LANES];
    let pieces = weights.chunks_mut(LANES).zip(values.chunks(LANES));
    for ((weights, values), squares) in pieces.zip(squares.chunks(LANES)) {
        let lanes = least.iter_mut().zip(&mut totals);
        let given = values.iter().zip(squares);
        for ((weight, (value, square)), (least, total)) in weights.iter_mut().zip(given).zip(lanes)
        {
            let slack = trust.slack(form.square(*value), own + *square);
            *least = if slack < *least { slack } else { *least };
            let trusted = form.weight(*value, *weight);
            *weight = if slack > T::ZERO { trusted } else { T::ZERO };
            *total += *weight;
        }
    }
    let total = totals.iter().map(|total| total.to_f64()).sum();
    (total, smallest(least))
}
