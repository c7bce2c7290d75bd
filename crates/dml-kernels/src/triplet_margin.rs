//! A triplet loss summed over a set of triplets that is not written out, with the gradient of the sum.
//!
//! ```text
//! v = h(a,p) − h(a,n) + margin     ℓ = max(0, v)   or   ln(1 + eᵛ)
//! ```
//!
//! Where the negatives of [`TripletRanges`] are in the order of the very distances that are summed, the values of a
//! positive fall along its span: a bound on them is found by binary search, and the sum by prefix sums. Where they are in
//! another order, hinges are summed by trees of partial sums, and softplus one triplet at a time.

mod foreign_order;
mod sorted_sum;

use crate::in_place::InPlace;
use crate::lengths;
use crate::triplet_ranges::TripletRanges;
use crate::{Real, TripletSet};
use foreign_order::ForeignScratch;
use pulp::Arch;
use rayon::prelude::*;
use sorted_sum::SumScratch;

/// Rows that one task takes at a time; fixed, so that results do not depend on the number of threads.
const ROWS: usize = 16;

/// What a triplet contributes, as a function of its violation `v = h(a,p) − h(a,n) + margin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TripletPenalty {
    /// `max(0, v)`, with gradient 0 at 0.
    Hinge,
    /// `ln(1 + eᵛ)`.
    Softplus,
}

impl TripletPenalty {
    #[inline(always)]
    fn value<T: Real>(self, v: T) -> T {
        match self {
            Self::Hinge => hinge(v),
            Self::Softplus => v.max(T::ZERO) + (-v.abs()).exp().ln_1p(),
        }
    }

    #[inline(always)]
    fn slope<T: Real>(self, v: T) -> T {
        match self {
            Self::Hinge => {
                if v > T::ZERO {
                    T::ONE
                } else if v <= T::ZERO {
                    T::ZERO
                } else {
                    v
                }
            }
            Self::Softplus => T::ONE / (T::ONE + (-v).exp()),
        }
    }
}

/// `max(0, v)` by a comparison in which NaN stays NaN.
#[inline(always)]
pub(crate) fn hinge<T: Real>(v: T) -> T {
    if v <= T::ZERO { T::ZERO } else { v }
}

/// The smaller of two; NaN if one is.
#[inline(always)]
fn nearer<T: Real>(a: T, b: T) -> T {
    if b < a || b.is_nan() { b } else { a }
}

/// A triplet loss over [`TripletRanges`]: the rule, and which of its values count.
#[derive(Clone, Copy, Debug)]
pub struct TripletMargin<T> {
    /// 1 for distances, −1 for similarities.
    pub sign: T,
    /// Added to every gap.
    pub margin: T,
    /// What a violation costs.
    pub penalty: TripletPenalty,
    /// Only values strictly above this one count.
    pub low: Option<T>,
    /// Only values strictly below this one count. NaN is outside of no bounds: it counts.
    pub high: Option<T>,
}

/// Memory that is used again for the next anchor.
#[derive(Default)]
struct Scratch<T> {
    sorted: SumScratch<T>,
    foreign: ForeignScratch<T>,
}

/// Sum and number of the values that count, and the gradient of the sum.
#[derive(Clone, Debug, PartialEq)]
pub struct TripletSum<T> {
    /// The sum of the values, accumulated in double precision.
    pub sum: f64,
    /// How many values count.
    pub count: u64,
    /// Gradient of `sum` with respect to the `[anchors, references]` matrix.
    pub gradient: Vec<T>,
    /// Gradient with respect to the `[references, references]` matrix of `swap`; empty without it.
    pub swap_gradient: Vec<T>,
}

impl<T: Real> TripletMargin<T> {
    /// Sums the loss over all triplets of `ranges`.
    ///
    /// `matrix` is `[anchors, references]`. With `swap`, a `[references, references]` matrix, the nearer of
    /// `h(a,n)` and `h(p,n)` takes the place of `h(a,n)`; then the triplets are walked one by one without storing them.
    /// So they are for anchors whose order in `ranges` is not the order of `matrix` (mined with another distance), except
    /// for hinges.
    ///
    /// # Panics
    /// If a length does not fit the shapes.
    #[must_use]
    pub fn sum(
        &self,
        matrix: &[T],
        references: usize,
        ranges: &TripletRanges,
        swap: Option<&[T]>,
    ) -> TripletSum<T> {
        let anchors = check(matrix, references, swap);
        lengths::length("ranges", ranges.anchors(), anchors);
        if swap.is_some() {
            return self.sum_set(matrix, references, ranges, swap);
        }
        let mut gradient = vec![T::ZERO; matrix.len()];
        let arch = Arch::new();
        let parts: Vec<(f64, u64)> = gradient
            .par_chunks_mut((ROWS * references).max(1))
            .enumerate()
            .map_in_place(|(chunk, gradient)| {
                let mut scratch = Scratch::default();
                arch.dispatch(
                    #[inline(always)]
                    || {
                        let mut total = (0.0, 0);
                        for (i, gradient) in gradient.chunks_exact_mut(references).enumerate() {
                            let a = chunk * ROWS + i;
                            let row = &matrix[a * references..][..references];
                            let (sum, count) =
                                self.sum_anchor(row, ranges, a, gradient, &mut scratch);
                            total = (total.0 + sum, total.1 + count);
                        }
                        total
                    },
                )
            });
        let (sum, count) = parts.iter().fold((0.0, 0), |t, p| (t.0 + p.0, t.1 + p.1));
        TripletSum {
            sum,
            count,
            gradient,
            swap_gradient: Vec::new(),
        }
    }

    /// Sums the loss over any set of triplets, walked one by one without storing them; `swap` as in
    /// [`TripletMargin::sum`].
    ///
    /// # Panics
    /// If a length does not fit the shapes.
    #[must_use]
    pub fn sum_set(
        &self,
        matrix: &[T],
        references: usize,
        set: &dyn TripletSet,
        swap: Option<&[T]>,
    ) -> TripletSum<T> {
        let anchors = check(matrix, references, swap);
        lengths::length("set", set.anchors(), anchors);
        let mut gradient = vec![T::ZERO; matrix.len()];
        let mut rest: &mut [T] = &mut gradient;
        let mut jobs = Vec::new();
        for chunk in crate::row_chunks(anchors) {
            let (head, tail) = rest.split_at_mut(chunk.len() * references);
            rest = tail;
            jobs.push((chunk, head));
        }
        // The gradient of h(p,n) lands in rows that other anchors share: one buffer a thread, added in order.
        let parts: Vec<(f64, u64, Vec<T>)> =
            jobs.into_par_iter().map_in_place(|(chunk, gradient)| {
                let mut swap_gradient = vec![T::ZERO; swap.map_or(0, <[T]>::len)];
                let mut total = (0.0, 0);
                for (a, gradient) in chunk.zip(gradient.chunks_exact_mut(references.max(1))) {
                    let row = &matrix[a * references..][..references];
                    let (sum, count) =
                        self.walk_anchor(row, swap, set, a, gradient, &mut swap_gradient);
                    total = (total.0 + sum, total.1 + count);
                }
                (total.0, total.1, swap_gradient)
            });
        let mut all = TripletSum {
            sum: 0.0,
            count: 0,
            gradient,
            swap_gradient: Vec::new(),
        };
        for (sum, count, swap_gradient) in parts {
            all.sum += sum;
            all.count += count;
            if all.swap_gradient.is_empty() {
                all.swap_gradient = swap_gradient;
            } else {
                let summed = all.swap_gradient.iter_mut().zip(swap_gradient);
                summed.for_each(|(g, part)| *g += part);
            }
        }
        all
    }

    #[inline(always)]
    fn counts(&self, value: T) -> bool {
        let inside =
            self.low.is_none_or(|low| value > low) && self.high.is_none_or(|high| value < high);
        inside || value.is_nan()
    }

    /// One anchor by prefix sums where its negatives are sorted by `row`, else one triplet at a time.
    #[inline(always)]
    fn sum_anchor(
        &self,
        row: &[T],
        ranges: &TripletRanges,
        a: usize,
        gradient: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> (f64, u64) {
        let Scratch {
            sorted: scratch,
            foreign,
        } = scratch;
        let negatives = ranges.negatives(a);
        if negatives.is_empty() {
            return (0.0, 0);
        }
        let ordered = scratch.gather(negatives.iter().map(|&n| self.sign * row[n as usize]));
        // A gap to what is not finite may be NaN, which has no place in an order.
        let is_finite = |x: &T| x.to_f64().is_finite();
        let ends = [scratch.far.first(), scratch.far.last()];
        let finite_ends = ends.into_iter().flatten().all(is_finite);
        let mut nearest = ranges
            .spans(a)
            .iter()
            .map(|span| &row[span.positive as usize]);
        if !finite_ends || !nearest.all(is_finite) {
            return self.walk_anchor(row, None, ranges, a, gradient, &mut []);
        }
        if !ordered
            && self.penalty == TripletPenalty::Hinge
            && foreign_order::pays(ranges.spans(a), negatives.len())
            && scratch.far.iter().all(|far| far.to_f64().is_finite())
        {
            let far = (negatives, scratch.far.as_slice());
            return self.sum_foreign(row, far, ranges.spans(a), gradient, foreign);
        }
        if !ordered
            || (self.penalty == TripletPenalty::Softplus
                && !scratch.exponentials_fit(row, self.margin))
        {
            return self.walk_anchor(row, None, ranges, a, gradient, &mut []);
        }
        if self.penalty == TripletPenalty::Softplus {
            scratch.exponentials();
        }
        scratch.weights.clear();
        scratch.weights.resize(negatives.len() + 1, 0.0);
        let (mut sum, mut count) = (0.0, 0u64);
        for span in ranges.spans(a) {
            let p = span.positive as usize;
            let near = self.sign * row[p];
            let (start, end) = (span.start as usize, span.end as usize);
            let far = &scratch.far;
            let violation = |far: T| near - far + self.margin;
            // Values fall along the order, so those within (low, high) are one piece of the span.
            let first = self.high.map_or(start, |high| {
                start
                    + far[start..end]
                        .partition_point(|far| self.penalty.value(violation(*far)) >= high)
            });
            let last = self.low.map_or(end, |low| {
                start
                    + far[start..end]
                        .partition_point(|far| self.penalty.value(violation(*far)) > low)
            });
            if first >= last {
                continue;
            }
            count += (last - first) as u64;
            match self.penalty {
                TripletPenalty::Hinge => {
                    // What is above a bound of 0 or more is above 0.
                    let active = match self.low {
                        Some(low) if low >= T::ZERO => last,
                        _ => {
                            first
                                + far[first..last].partition_point(|far| violation(*far) > T::ZERO)
                        }
                    };
                    let violated = (active - first) as f64;
                    sum += violated * (near.to_f64() + self.margin.to_f64())
                        - (scratch.sums[active] - scratch.sums[first]);
                    gradient[p] += self.sign * T::from_f64(violated);
                    // Only the ends are marked; a running sum below tells how often each negative was covered.
                    scratch.weights[first] += 1.0;
                    scratch.weights[active] -= 1.0;
                }
                TripletPenalty::Softplus => {
                    let (value, slope) =
                        scratch.softplus(near.to_f64() + self.margin.to_f64(), first, last);
                    sum += value;
                    gradient[p] += self.sign * T::from_f64(slope);
                }
            }
        }
        let mut running = 0.0;
        for (&n, &weight) in negatives.iter().zip(&scratch.weights) {
            running = if self.penalty == TripletPenalty::Hinge {
                running + weight
            } else {
                weight
            };
            gradient[n as usize] -= self.sign * T::from_f64(running);
        }
        (sum, count)
    }

    /// One anchor, one triplet at a time.
    fn walk_anchor(
        &self,
        row: &[T],
        swap: Option<&[T]>,
        set: &dyn TripletSet,
        a: usize,
        gradient: &mut [T],
        swap_gradient: &mut [T],
    ) -> (f64, u64) {
        let half = T::from_f64(0.5);
        let (mut sum, mut count) = (0.0, 0u64);
        set.for_anchor(a, &mut |p, negatives| {
            let p = p as usize;
            let near = self.sign * row[p];
            let mut pull = 0.0;
            for &n in negatives {
                let n = n as usize;
                let from_anchor = self.sign * row[n];
                let from_positive = swap.map(|inside| self.sign * inside[p * row.len() + n]);
                let far = from_positive.map_or(from_anchor, |other| nearer(from_anchor, other));
                let violation = near - far + self.margin;
                let value = self.penalty.value(violation);
                if !self.counts(value) {
                    continue;
                }
                count += 1;
                sum += value.to_f64();
                let slope = self.penalty.slope(violation);
                pull += slope.to_f64();
                match from_positive {
                    Some(other) if other < from_anchor => {
                        swap_gradient[p * row.len() + n] -= self.sign * slope;
                    }
                    // At a tie both share, as the gradient of a minimum does in PyTorch.
                    Some(other) if other == from_anchor => {
                        swap_gradient[p * row.len() + n] -= self.sign * slope * half;
                        gradient[n] -= self.sign * slope * half;
                    }
                    _ => gradient[n] -= self.sign * slope,
                }
            }
            gradient[p] += self.sign * T::from_f64(pull);
        });
        (sum, count)
    }

    /// The value of every triplet of `ranges`, in the order of [`TripletRanges::for_each`]. Cubic memory.
    ///
    /// # Panics
    /// If a length does not fit the shapes.
    #[must_use]
    pub fn values(
        &self,
        matrix: &[T],
        references: usize,
        ranges: &TripletRanges,
        swap: Option<&[T]>,
    ) -> Vec<T> {
        let anchors = check(matrix, references, swap);
        lengths::length("ranges", ranges.anchors(), anchors);
        let mut values = Vec::new();
        ranges.for_each(|a, p, n| {
            let at = |row: u32, column: u32, matrix: &[T]| {
                self.sign * matrix[row as usize * references + column as usize]
            };
            let from_anchor = at(a, n, matrix);
            let far = swap.map_or(from_anchor, |inside| nearer(from_anchor, at(p, n, inside)));
            values.push(self.penalty.value(at(a, p, matrix) - far + self.margin));
        });
        values
    }
}

/// The number of anchors of a matrix `[anchors, references]`.
///
/// # Panics
/// Unless the matrix has whole rows and that of `swap`, if there is one, is `[references, references]`.
fn check<T>(matrix: &[T], references: usize, swap: Option<&[T]>) -> usize {
    if let Some(swap) = swap {
        let area = lengths::area("swap", references, references);
        lengths::length("swap", swap.len(), area);
    }
    lengths::rows("matrix", matrix.len(), references)
}

#[cfg(test)]
mod tests;
