//! Triplets whose positive should lie within a boundary around the anchor and whose negative outside of it.
//!
//! ```text
//! ℓ = max(0, h(a,p) − b_a + margin) + max(0, b_a − h(a,n) + margin)
//! ```
//!
//! h is the distance, or the negated similarity; so is the boundary b, one for each anchor. The two hinges know nothing
//! of each other, so over an interval of sorted negatives the sum is a count times the one and a difference of prefix
//! sums of the other.

use crate::Real;
use crate::elementary::hinge;
use crate::lengths;
use crate::sum_within::Within;
use crate::triplet_walk::{TripletWalk, prefix_sums};

/// The two hinges around a boundary, and which values count.
#[derive(Clone, Copy, Debug)]
pub struct BoundaryHinges<T> {
    /// 1 for distances, −1 for similarities.
    pub sign: T,
    /// Added to both hinges.
    pub margin: T,
    /// Only values strictly above this one count.
    pub low: Option<T>,
    /// Only values strictly below this one count. NaN is outside of no bounds: it counts.
    pub high: Option<T>,
}

/// Sum and number of the values that count, and the gradient of the sum.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundarySum<T> {
    /// The sum of the values, accumulated in double precision.
    pub sum: f64,
    /// How many values count.
    pub count: u64,
    /// Gradient of `sum` with respect to the `[anchors, references]` matrix.
    pub gradient: Vec<T>,
    /// Gradient of `sum` with respect to the boundary of each anchor.
    pub boundary_gradient: Vec<T>,
}

/// What a task adds up, and its scratch memory.
#[derive(Default)]
struct Part {
    sum: f64,
    count: u64,
    /// Anchor and gradient of its boundary.
    boundary: Vec<(usize, f64)>,
    /// Prefix sums of the hinges of the negatives.
    sums: Vec<f64>,
    cover: Vec<f64>,
}

impl<T: Real> BoundaryHinges<T> {
    /// `max(0, h(a,p) − b + margin)`, and its derivative in `h(a,p)`.
    #[inline(always)]
    fn positive(&self, near: T, boundary: T) -> (T, T) {
        hinge(near - boundary + self.margin)
    }

    /// `max(0, b − h(a,n) + margin)`, and its derivative in `b`.
    #[inline(always)]
    fn negative(&self, far: T, boundary: T) -> (T, T) {
        hinge(boundary - far + self.margin)
    }

    /// How many hinges of all triplets are above 0, or NaN: up to two a triplet.
    ///
    /// # Panics
    /// If a length does not fit the shapes.
    #[must_use]
    pub fn active(
        &self,
        matrix: &[T],
        references: usize,
        boundaries: &[T],
        walk: TripletWalk<'_>,
    ) -> u64 {
        let anchors = lengths::rows("matrix", matrix.len(), references);
        lengths::length("boundaries", boundaries.len(), anchors);
        let parts = walk.fold(
            matrix,
            references,
            self.sign,
            &mut [],
            |active: &mut u64, a, row, _, group| {
                let boundary = self.sign * boundaries[a];
                for span in group.spans {
                    let near = self.sign * row[span.positive as usize];
                    let (start, end) = (span.start as usize, span.end as usize);
                    if self.positive(near, boundary).1 != T::ZERO {
                        *active += (end - start) as u64;
                    }
                    let inside = |far: T| self.negative(far, boundary).1 != T::ZERO;
                    *active += if group.ordered && boundary.to_f64().is_finite() {
                        group.holds_up_to(start, end, inside) - start
                    } else {
                        group.far[start..end]
                            .iter()
                            .filter(|far| inside(**far))
                            .count()
                    } as u64;
                }
            },
        );
        parts.iter().sum()
    }

    /// The sum over all triplets; `matrix` is `[anchors, references]`, with one boundary for each anchor.
    ///
    /// # Panics
    /// If a length does not fit the shapes.
    #[must_use]
    pub fn sum(
        &self,
        matrix: &[T],
        references: usize,
        boundaries: &[T],
        walk: TripletWalk<'_>,
    ) -> BoundarySum<T> {
        let anchors = lengths::rows("matrix", matrix.len(), references);
        lengths::length("boundaries", boundaries.len(), anchors);
        let mut gradient = vec![T::ZERO; matrix.len()];
        let parts = walk.fold(
            matrix,
            references,
            self.sign,
            &mut gradient,
            |part: &mut Part, a, row, gradient, group| {
                let boundary = self.sign * boundaries[a];
                let hinge = |far: T| self.negative(far, boundary).0;
                let within = Within {
                    low: self.low,
                    high: self.high,
                };
                let hinges = group.far.iter().map(|far| hinge(*far).to_f64());
                prefix_sums(hinges, &mut part.sums);
                part.cover.clear();
                part.cover.resize(group.far.len() + 1, 0.0);
                // How much the sum rises when the boundary comes nearer to the anchor.
                let mut pull = 0.0;
                for span in group.spans {
                    let (near, derivative) =
                        self.positive(self.sign * row[span.positive as usize], boundary);
                    // Values with NaN in them have no order.
                    let ordered =
                        group.ordered && near.to_f64().is_finite() && boundary.to_f64().is_finite();
                    let (mut start, end) = (span.start as usize, span.end as usize);
                    let mut covered = 0;
                    while start < end {
                        let (first, last) = if ordered {
                            group.piece(span, within, |far| near + hinge(far))
                        } else {
                            let counts = within.holds(near + hinge(group.far[start]));
                            (start, start + usize::from(counts))
                        };
                        covered += last - first;
                        if first < last {
                            part.sum += (last - first) as f64 * near.to_f64() + part.sums[last]
                                - part.sums[first];
                        }
                        part.cover[first] += 1.0;
                        part.cover[last] -= 1.0;
                        start = if ordered { end } else { start + 1 };
                    }
                    part.count += covered as u64;
                    if covered > 0 {
                        let rise = covered as f64 * derivative.to_f64();
                        gradient[span.positive as usize] += self.sign * T::from_f64(rise);
                        pull += rise;
                    }
                }
                group.for_each_covered(&part.cover, |n, far, times| {
                    let derivative = self.negative(far, boundary).1;
                    if times > 0.0 && derivative != T::ZERO {
                        let rise = times * derivative.to_f64();
                        gradient[n as usize] -= self.sign * T::from_f64(rise);
                        pull -= rise;
                    }
                });
                part.boundary.push((a, pull));
            },
        );
        let mut all = BoundarySum {
            sum: 0.0,
            count: 0,
            gradient,
            boundary_gradient: vec![T::ZERO; boundaries.len()],
        };
        for part in parts {
            all.sum += part.sum;
            all.count += part.count;
            for (a, pull) in part.boundary {
                all.boundary_gradient[a] -= self.sign * T::from_f64(pull);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triplet_ranges::{GapInterval, TripletRanges};

    #[test]
    fn what_is_no_number_is_active_counted_and_summed() {
        // Anchor 0, positive 1, negatives 2 and 3; then its boundary.
        for place in 0..4 {
            for (low, high) in [(None, None), (Some(0.0), None), (Some(0.0), Some(9.0))] {
                let (mut matrix, mut boundaries) = ([0f64, 0.1, 5.0, 6.0], [1.0]);
                match place {
                    0 => boundaries[0] = f64::NAN,
                    _ => matrix[place] = f64::NAN,
                }
                let rule = BoundaryHinges {
                    sign: 1.0,
                    margin: 0.25,
                    low,
                    high,
                };
                let split = |_: usize, p: &mut Vec<u32>, n: &mut Vec<u32>| {
                    p.push(1);
                    n.extend([2, 3]);
                };
                let interval = GapInterval::default();
                let ranges = TripletRanges::select(&matrix, 4, 1.0, interval, split);
                for walk in [TripletWalk::Ranges(&ranges), TripletWalk::Set(&ranges)] {
                    assert!(rule.active(&matrix, 4, &boundaries, walk) > 0);
                    let sum = rule.sum(&matrix, 4, &boundaries, walk);
                    assert!(sum.sum.is_nan() && sum.count > 0, "{place}: {sum:?}");
                    assert!(sum.boundary_gradient[0].is_nan(), "{place}: {sum:?}");
                }
            }
        }
    }

    #[test]
    fn sums_over_ranges_are_sums_over_every_triplet() {
        let columns = 9;
        let matrix: Vec<f64> = (0..20 * columns)
            .map(|i| 1.0 + (i as f64 * 1.7).sin())
            .collect();
        let split = |a: usize, p: &mut Vec<u32>, n: &mut Vec<u32>| {
            p.extend((0..columns as u32).filter(|r| (*r as usize + a).is_multiple_of(3)));
            n.extend((0..columns as u32).filter(|r| !(*r as usize + a).is_multiple_of(3)));
        };
        let boundaries: Vec<f64> = (0..20).map(|a| 0.7 + 0.03 * f64::from(a)).collect();
        for (sign, low, high) in [
            (1.0, None, None),
            (1.0, Some(0.0), None),
            (-1.0, Some(0.2), Some(1.1)),
            (-1.0, None, Some(0.9)),
        ] {
            let signed: Vec<f64> = matrix.iter().map(|x| sign * x).collect();
            let rule = BoundaryHinges {
                sign,
                margin: 0.25,
                low,
                high,
            };
            let interval = GapInterval::default();
            let ranges = TripletRanges::select(&signed, columns, sign, interval, split);
            // Mined with another distance: the order of the negatives is not that of the matrix.
            let other: Vec<f64> = matrix.iter().map(|x| (x * 40.0).sin()).collect();
            let disordered = TripletRanges::select(&other, columns, 1.0, interval, split);
            let negated: Vec<f64> = boundaries.iter().map(|b| sign * b).collect();
            let mut want = BoundarySum {
                sum: 0.0,
                count: 0,
                gradient: vec![0.0; matrix.len()],
                boundary_gradient: vec![0.0; 20],
            };
            let mut active = 0;
            ranges.for_each(|a, p, n| {
                let (p, n) = (
                    a as usize * columns + p as usize,
                    a as usize * columns + n as usize,
                );
                let b = boundaries[a as usize];
                let (near, far) = (matrix[p] - b + 0.25, b - matrix[n] + 0.25);
                let value = near.max(0.0) + far.max(0.0);
                active += u64::from(near > 0.0) + u64::from(far > 0.0);
                if low.is_none_or(|low| value > low) && high.is_none_or(|high| value < high) {
                    want.sum += value;
                    want.count += 1;
                    if near > 0.0 {
                        want.gradient[p] += sign;
                        want.boundary_gradient[a as usize] -= sign;
                    }
                    if far > 0.0 {
                        want.gradient[n] -= sign;
                        want.boundary_gradient[a as usize] += sign;
                    }
                }
            });
            for walk in [
                TripletWalk::Ranges(&ranges),
                TripletWalk::Set(&ranges),
                TripletWalk::Ranges(&disordered),
                TripletWalk::Set(&disordered),
            ] {
                let got = rule.sum(&signed, columns, &negated, walk);
                assert!((got.sum - want.sum).abs() < 1e-9);
                assert_eq!(got.count, want.count);
                assert_eq!(got.gradient, want.gradient);
                assert_eq!(got.boundary_gradient, want.boundary_gradient);
                assert_eq!(rule.active(&signed, columns, &negated, walk), active);
            }
        }
    }
}
