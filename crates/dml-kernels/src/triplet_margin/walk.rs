//! One triplet at a time.

use rayon::prelude::*;

use super::{Partial, TripletMargin, TripletSum};
use crate::in_place::InPlace;
use crate::triplet_walk::Group;
use crate::{Real, TripletSet, lengths};

/// The smaller of two; NaN if one is.
#[inline(always)]
fn nearer<T: Real>(a: T, b: T) -> T {
    if b < a || b.is_nan() { b } else { a }
}

/// Number of parts that the anchors are cut into where each part takes a buffer of that many bytes: enough for a machine's
/// threads, within the memory below. It depends on sizes alone, so that the sums do.
fn parts(buffer: usize) -> usize {
    /// Memory for the buffers of all parts, unless two of them take more.
    const BYTES: usize = 1 << 28;
    (BYTES / buffer.max(1)).clamp(2, 16)
}

impl<T: Real> TripletMargin<T> {
    /// The triplets of some positives of an anchor.
    pub(super) fn walk(&self, row: &[T], group: &Group<'_, T>, gradient: &mut [T]) -> Partial {
        let mut total = Partial::default();
        for span in group.spans {
            let places = span.start as usize..span.end as usize;
            let negatives = group.negatives[places.clone()].iter().copied();
            let negatives = negatives.zip(group.far[places].iter().copied());
            let near = self.near(row, span.positive);
            let (part, pull) = self.walk_positive(near, negatives, |n, derivative| {
                gradient[n as usize] -= self.sign * derivative;
            });
            gradient[span.positive as usize] += self.sign * T::from_f64(pull);
            total.add(part);
        }
        total
    }

    /// The triplets of one positive with negatives and how far each is, and the derivative of their sum in `near`.
    /// `push(negative, derivative)` is called for each that counts.
    #[inline(always)]
    fn walk_positive(
        &self,
        near: T,
        negatives: impl Iterator<Item = (u32, T)>,
        mut push: impl FnMut(u32, T),
    ) -> (Partial, f64) {
        let within = self.within();
        let (mut part, mut pull) = (Partial::default(), 0.0);
        for (n, far) in negatives {
            let (value, derivative) = self.value(near, far);
            if within.holds(value) {
                part.count += 1;
                part.sum += value.to_f64();
                pull += derivative.to_f64();
                push(n, derivative);
            }
        }
        (part, pull)
    }

    /// Sums the loss over a set of triplets, in which the nearer of `h(a,n)` and `h(p,n)` takes the place of `h(a,n)`;
    /// `matrix` is `[anchors, references]` and `swap` `[references, references]`.
    ///
    /// # Panics
    /// If a length does not fit the shapes.
    #[must_use]
    pub fn sum_with_swap(
        &self,
        matrix: &[T],
        swap: &[T],
        references: usize,
        set: &dyn TripletSet,
    ) -> TripletSum<T> {
        let anchors = lengths::rows("matrix", matrix.len(), references);
        let area = lengths::area("swap", references, references);
        lengths::length("swap", swap.len(), area);
        lengths::length("set", set.anchors(), anchors);
        let mut gradient = vec![T::ZERO; matrix.len()];
        let mut rest: &mut [T] = &mut gradient;
        let mut jobs = Vec::new();
        for chunk in crate::row_chunks(anchors, parts(size_of_val(swap))) {
            let (head, tail) = rest.split_at_mut(chunk.len() * references);
            rest = tail;
            jobs.push((chunk, head));
        }
        // The gradient of h(p,n) lands in rows that other anchors share: one buffer a part, added in order.
        let parts: Vec<(Partial, Vec<T>)> =
            jobs.into_par_iter().map_in_place(|(chunk, gradient)| {
                let mut swap_gradient = vec![T::ZERO; swap.len()];
                let mut total = Partial::default();
                for (a, gradient) in chunk.zip(gradient.chunks_exact_mut(references.max(1))) {
                    let row = &matrix[a * references..][..references];
                    set.for_anchor(a, &mut |p, negatives| {
                        let positive = p as usize * references..(p as usize + 1) * references;
                        let other = (&swap[positive.clone()], &mut swap_gradient[positive]);
                        total.add(self.walk_swapped(row, p, negatives, other, gradient));
                    });
                }
                (total, swap_gradient)
            });
        let mut total = Partial::default();
        let mut parts = parts.into_iter();
        let mut swap_gradient = Vec::new();
        if let Some((first, gradient)) = parts.next() {
            total.add(first);
            swap_gradient = gradient;
        }
        for (part, gradient) in parts {
            total.add(part);
            let summed = swap_gradient.iter_mut().zip(gradient);
            summed.for_each(|(g, part)| *g += part);
        }
        TripletSum {
            sum: total.sum,
            count: total.count,
            gradient,
            swap_gradient,
        }
    }

    /// The triplets of one positive, whose own row of distances is `swap` with its gradient.
    fn walk_swapped(
        &self,
        row: &[T],
        positive: u32,
        negatives: &[u32],
        (swap, swap_gradient): (&[T], &mut [T]),
        gradient: &mut [T],
    ) -> Partial {
        let both = |n: u32| (self.near(row, n), self.near(swap, n));
        let far = negatives.iter().map(|&n| {
            let (from_anchor, from_positive) = both(n);
            (n, nearer(from_anchor, from_positive))
        });
        let near = self.near(row, positive);
        let (part, pull) = self.walk_positive(near, far, |n, derivative| {
            let (from_anchor, from_positive) = both(n);
            // At a tie both share, as the gradient of a minimum does in PyTorch.
            let share = if from_positive < from_anchor {
                T::ONE
            } else if from_positive == from_anchor {
                T::from_f64(0.5)
            } else {
                T::ZERO
            };
            let push = self.sign * derivative;
            if share > T::ZERO {
                swap_gradient[n as usize] -= push * share;
            }
            if share < T::ONE {
                gradient[n as usize] -= push * (T::ONE - share);
            }
        });
        gradient[positive as usize] += self.sign * T::from_f64(pull);
        part
    }
}
