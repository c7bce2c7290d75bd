//! Negatives in the order of the distances that are summed: prefix sums for the hinge, products of exponentials for the
//! softplus.

use super::{Partial, TripletMargin, TripletPenalty};
use crate::Real;
use crate::triplet_walk::{Group, prefix_sums};

/// Memory that is used again for the next anchor.
#[derive(Default)]
pub(super) struct SortedSums {
    /// Hinge: the sum of the first i distances. Softplus: e^(centre − far).
    sums: Vec<f64>,
    /// Hinge: +1 where a piece begins, −1 where it ends. Softplus: how much each negative is pushed.
    weights: Vec<f64>,
}

/// Whether every e^±(h(a,p) − h(a,n) + margin) is far from the limits of double precision.
pub(super) fn exponentials_fit<T: Real>(row: &[T], margin: T) -> bool {
    let reach = row
        .iter()
        .fold(margin.to_f64().abs(), |m, x| f64::max(m, x.to_f64().abs()));
    // NaN is no larger and no smaller than anything: ask that the value be inside.
    reach < 100.0
}

impl<T: Real> TripletMargin<T> {
    /// The triplets of some positives, whose negatives come nearest first.
    #[inline(always)]
    pub(super) fn sum_sorted(
        &self,
        row: &[T],
        group: &Group<'_, T>,
        gradient: &mut [T],
        scratch: &mut SortedSums,
    ) -> Partial {
        scratch.weights.clear();
        scratch.weights.resize(group.far.len() + 1, 0.0);
        match self.penalty {
            TripletPenalty::Hinge => self.sum_hinges(row, group, gradient, scratch),
            TripletPenalty::Softplus => self.sum_softplus(row, group, gradient, scratch),
        }
    }

    #[inline(always)]
    fn sum_hinges(
        &self,
        row: &[T],
        group: &Group<'_, T>,
        gradient: &mut [T],
        SortedSums { sums, weights }: &mut SortedSums,
    ) -> Partial {
        prefix_sums(group.far.iter().map(|far| far.to_f64()), sums);
        let mut total = Partial::default();
        for span in group.spans {
            let near = self.near(row, span.positive);
            let (first, last) = group.piece(span, self.within(), |far| self.value(near, far).0);
            total.count += (last - first) as u64;
            // What is above a bound of 0 or more is above 0.
            let active = match self.low {
                Some(low) if low >= T::ZERO => last,
                _ => group.holds_up_to(first, last, |far| self.violation(near, far) > T::ZERO),
            };
            let violated = (active - first) as f64;
            total.sum += violated * (near.to_f64() + self.margin.to_f64());
            total.sum -= sums[active] - sums[first];
            gradient[span.positive as usize] += self.sign * T::from_f64(violated);
            weights[first] += 1.0;
            weights[active] -= 1.0;
        }
        group.for_each_covered(weights, |n, _, times| {
            gradient[n as usize] -= self.sign * T::from_f64(times);
        });
        total
    }

    #[inline(always)]
    fn sum_softplus(
        &self,
        row: &[T],
        group: &Group<'_, T>,
        gradient: &mut [T],
        SortedSums { sums, weights }: &mut SortedSums,
    ) -> Partial {
        // Taken out of every exponent, so that no exponential overflows.
        let centre = group.far.get(group.far.len() / 2);
        let centre = centre.map_or(0.0, |far| far.to_f64());
        sums.clear();
        sums.extend(group.far.iter().map(|far| (centre - far.to_f64()).exp()));
        let mut total = Partial::default();
        for span in group.spans {
            let near = self.near(row, span.positive);
            let (first, last) = group.piece(span, self.within(), |far| self.value(near, far).0);
            total.count += (last - first) as u64;
            let factor = (near.to_f64() + self.margin.to_f64() - centre).exp();
            let (value, pull) =
                softplus_of_products(factor, &sums[first..last], &mut weights[first..last]);
            total.sum += value;
            gradient[span.positive as usize] += self.sign * T::from_f64(pull);
        }
        for (&n, &weight) in group.negatives.iter().zip(&*weights) {
            gradient[n as usize] -= self.sign * T::from_f64(weight);
        }
        total
    }
}

/// `Σ ln(1 + factor · far)`, and the sum of its derivatives in the logarithm of `factor · far`, each of which is added to
/// its weight.
///
/// e^(near − far) is a product of two factors, one of the positive and one of the negative, so no exponential is computed
/// for a triplet; and the sum of logarithms is the logarithm of a product, taken every few terms.
#[inline(always)]
fn softplus_of_products(factor: f64, far: &[f64], weights: &mut [f64]) -> (f64, f64) {
    const TERMS: usize = 2;
    const LANES: usize = 8;
    let (mut value, mut derivatives) = (0.0, 0.0);
    let blocks = far.chunks(LANES * TERMS);
    for (far, weights) in blocks.zip(weights.chunks_mut(LANES * TERMS)) {
        let mut products = [1.0f64; LANES];
        let mut partial = [0.0f64; LANES];
        for (far, weights) in far.chunks(LANES).zip(weights.chunks_mut(LANES)) {
            let lanes = far.iter().zip(weights).zip(&mut products).zip(&mut partial);
            for (((far, weight), product), partial) in lanes {
                let odds = factor * far;
                let derivative = odds / (1.0 + odds);
                *product *= 1.0 + odds;
                *weight += derivative;
                *partial += derivative;
            }
        }
        // Each factor is below e^300 at most, two of them below the largest double; the eight are logged apart only when
        // their product would not fit.
        let joint: f64 = products.iter().product();
        value += if joint < 1e300 {
            joint.ln()
        } else {
            products.iter().map(|p| p.ln()).sum()
        };
        derivatives += partial.iter().sum::<f64>();
    }
    (value, derivatives)
}
