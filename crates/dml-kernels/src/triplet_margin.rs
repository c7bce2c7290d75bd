//! A triplet loss summed over a set of triplets that is not written out, with the gradient of the sum.
//!
//! ```text
//! v = h(a,p) − h(a,n) + margin        ℓ = max(0, v)   or   ln(1 + eᵛ)
//! ```
//!
//! There are three ways to sum an anchor's triplets, to the same numbers:
//!
//! * `sorted`: its negatives come in the order of the very distances that are summed. Values fall along the order, so what
//!   a positive has within bounds is one piece of it, found by binary search and summed by prefix sums.
//! * `another_order`: they come in the order of another distance, that of a miner. Hinges are summed by trees of partial
//!   sums.
//! * `walk`: one triplet at a time. For everything else, and where a distance is not finite.
//!
//! With a swap, `h(a,n)` is replaced by the nearer one of `h(a,n)` and `h(p,n)`, which only a walk can sum.

mod another_order;
mod sorted;
mod walk;

use crate::elementary::{hinge, softplus};
use crate::sum_within::Within;
use crate::triplet_walk::{Group, TripletWalk};
use crate::{Real, vectorized};
use another_order::AnotherOrder;
use sorted::SortedSums;

/// What a triplet costs, as a function of its violation `v = h(a,p) − h(a,n) + margin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TripletPenalty {
    /// `max(0, v)`, with gradient 0 at 0.
    Hinge,
    /// `ln(1 + eᵛ)`.
    Softplus,
}

impl TripletPenalty {
    /// The cost and its derivative.
    #[inline(always)]
    fn of<T: Real>(self, violation: T) -> (T, T) {
        match self {
            Self::Hinge => hinge(violation),
            Self::Softplus => softplus(violation),
        }
    }
}

/// A triplet loss, and which of its values count.
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

/// Sum and number of the values that count, and the gradient of the sum.
#[derive(Clone, Debug, PartialEq)]
pub struct TripletSum<T> {
    /// The sum of the values, accumulated in double precision.
    pub sum: f64,
    /// How many values count.
    pub count: u64,
    /// Gradient of `sum` with respect to the `[anchors, references]` matrix.
    pub gradient: Vec<T>,
    /// Gradient with respect to the `[references, references]` matrix of a swap; empty without one.
    pub swap_gradient: Vec<T>,
}

/// Sum and number of the values of some triplets that count.
#[derive(Clone, Copy, Debug, Default)]
struct Partial {
    sum: f64,
    count: u64,
}

impl Partial {
    fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.count += other.count;
    }
}

/// What a task adds up, and memory that it uses again for the next anchor.
#[derive(Default)]
struct Task<T> {
    total: Partial,
    sorted: SortedSums,
    another_order: AnotherOrder<T>,
}

impl<T: Real> TripletMargin<T> {
    /// Sums the loss over all triplets; `matrix` is `[anchors, references]`.
    ///
    /// # Panics
    /// If a length does not fit the shapes.
    #[must_use]
    pub fn sum(&self, matrix: &[T], references: usize, walk: TripletWalk<'_>) -> TripletSum<T> {
        let mut gradient = vec![T::ZERO; matrix.len()];
        let tasks = walk.fold(
            matrix,
            references,
            self.sign,
            &mut gradient,
            |task: &mut Task<T>, _, row, gradient, group| {
                vectorized!(self.sum_group(row, group, gradient, task));
            },
        );
        let mut total = Partial::default();
        tasks.iter().for_each(|task| total.add(task.total));
        TripletSum {
            sum: total.sum,
            count: total.count,
            gradient,
            swap_gradient: Vec::new(),
        }
    }

    /// The triplets of some positives of an anchor, in the cheapest way that they allow.
    #[inline(always)]
    fn sum_group(&self, row: &[T], group: &Group<'_, T>, gradient: &mut [T], task: &mut Task<T>) {
        let is_finite = |x: &T| x.to_f64().is_finite();
        let ends = [group.far.first(), group.far.last()];
        let mut near = group.spans.iter().map(|span| &row[span.positive as usize]);
        // A gap to what is not finite may be NaN, which has no place in an order.
        let has_order = ends.into_iter().flatten().all(is_finite) && near.all(is_finite);
        let is_hinge = self.penalty == TripletPenalty::Hinge;
        let part = if has_order
            && group.ordered
            && (is_hinge || sorted::exponentials_fit(row, self.margin))
        {
            self.sum_sorted(row, group, gradient, &mut task.sorted)
        } else if has_order
            && !group.ordered
            && is_hinge
            && another_order::pays(group)
            && group.far.iter().all(is_finite)
        {
            self.sum_in_another_order(row, group, gradient, &mut task.another_order)
        } else {
            self.walk(row, group, gradient)
        };
        task.total.add(part);
    }

    /// What a triplet costs, and the derivative of that in the violation.
    #[inline(always)]
    fn value(&self, near: T, far: T) -> (T, T) {
        self.penalty.of(self.violation(near, far))
    }

    #[inline(always)]
    fn violation(&self, near: T, far: T) -> T {
        near - far + self.margin
    }

    /// How far the positive of a span is: `h(a,p)`.
    #[inline(always)]
    fn near(&self, row: &[T], positive: u32) -> T {
        self.sign * row[positive as usize]
    }

    #[inline(always)]
    fn within(&self) -> Within<T> {
        Within {
            low: self.low,
            high: self.high,
        }
    }
}

#[cfg(test)]
mod tests;
