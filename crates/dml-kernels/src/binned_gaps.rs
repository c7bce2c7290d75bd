//! The gaps of triplets by bins: a histogram of them, and their sum with a weight for each bin.
//!
//! ```text
//! v = d(a,p) − d(a,n),   (v − low) / width = b + f,  0 <= f < 1
//! histogram: 1 − f counts for bin b, f for bin b + 1
//! sum:       Σ weight[b] · v
//! ```
//!
//! Bins before the first and after the last are these. Along an anchor's sorted negatives the gaps of a positive fall,
//! so each bin is one piece, found by binary search and summed by prefix sums.

use crate::Real;
use crate::lengths;
use crate::triplet_walk::{Group, TripletWalk, prefix_sums};

/// Bins of gaps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GapBins {
    low: f64,
    width: f64,
    bins: usize,
}

/// The gaps of one positive that lie in one bin.
struct Piece {
    bin: f64,
    start: usize,
    end: usize,
    /// The sum of the gaps.
    sum: f64,
}

impl GapBins {
    /// `bins` bins (at least one) of a width, from `low` on.
    #[must_use]
    pub fn new(low: f64, width: f64, bins: usize) -> Self {
        Self {
            low,
            width,
            bins: bins.max(1),
        }
    }

    /// The bin of a gap, and how far it is on the way to the next one.
    #[inline(always)]
    #[must_use]
    pub fn place(self, gap: f64) -> (usize, f64) {
        let steps = (gap - self.low) / self.width;
        (self.within(steps.floor()), steps - steps.floor())
    }

    #[inline(always)]
    fn within(self, bin: f64) -> usize {
        (bin.max(0.0) as usize).min(self.bins - 1)
    }

    /// Adds `count` gaps that are on average at `way` from `bin` to the next one.
    #[inline(always)]
    fn add(self, histogram: &mut [f64], bin: usize, count: f64, way: f64) {
        histogram[bin] += count * (1.0 - way);
        histogram[(bin + 1).min(self.bins - 1)] += count * way;
    }

    /// The histogram of some gaps: its sum is their number.
    #[must_use]
    pub fn histogram_of<T: Real>(self, gaps: &[T]) -> Vec<f64> {
        let mut histogram = vec![0.0; self.bins];
        for gap in gaps {
            let (bin, way) = self.place(gap.to_f64());
            self.add(&mut histogram, bin, 1.0, way);
        }
        histogram
    }

    /// The histogram of the gaps of all triplets; `matrix` is `[anchors, references]`.
    ///
    /// # Panics
    /// If a length does not fit the shapes.
    #[must_use]
    pub fn histogram<T: Real>(
        self,
        matrix: &[T],
        references: usize,
        walk: TripletWalk<'_>,
    ) -> Vec<f64> {
        lengths::rows("matrix", matrix.len(), references);
        let none = &mut [];
        let parts = walk.fold(
            matrix,
            references,
            T::ONE,
            none,
            |part: &mut Part, _, row, _, group| {
                part.histogram.resize(self.bins, 0.0);
                prefix_sums(group.far.iter().map(|far| far.to_f64()), &mut part.sums);
                self.pieces(row, group, &part.sums, |_, piece| {
                    let count = (piece.end - piece.start) as f64;
                    let steps = (piece.sum / count - self.low) / self.width;
                    let bin = self.within(piece.bin);
                    self.add(&mut part.histogram, bin, count, steps - piece.bin);
                });
            },
        );
        let mut histogram = vec![0.0; self.bins];
        for part in parts {
            for (sum, count) in histogram.iter_mut().zip(part.histogram) {
                *sum += count;
            }
        }
        histogram
    }

    /// The weighted sum of the gaps of all triplets, and its gradient with respect to `matrix`.
    ///
    /// # Panics
    /// Unless there is a weight for each bin.
    #[must_use]
    pub fn weighted_sum<T: Real>(
        self,
        matrix: &[T],
        references: usize,
        walk: TripletWalk<'_>,
        weights: &[f64],
    ) -> (f64, Vec<T>) {
        lengths::rows("matrix", matrix.len(), references);
        assert_eq!(weights.len(), self.bins, "one weight a bin");
        let mut gradient = vec![T::ZERO; matrix.len()];
        let parts = walk.fold(
            matrix,
            references,
            T::ONE,
            &mut gradient,
            |part: &mut Part, _, row, gradient, group| {
                prefix_sums(group.far.iter().map(|far| far.to_f64()), &mut part.sums);
                part.cover.clear();
                part.cover.resize(group.far.len() + 1, 0.0);
                self.pieces(row, group, &part.sums, |positive, piece| {
                    let weight = weights[self.within(piece.bin)];
                    part.total += weight * piece.sum;
                    let pull = weight * (piece.end - piece.start) as f64;
                    gradient[positive] += T::from_f64(pull);
                    part.cover[piece.start] += weight;
                    part.cover[piece.end] -= weight;
                });
                group.for_each_covered(&part.cover, |n, _, weight| {
                    gradient[n as usize] -= T::from_f64(weight);
                });
            },
        );
        (parts.iter().map(|part| part.total).sum(), gradient)
    }

    /// `f(positive, piece)` for the gaps of each positive, bin by bin.
    #[inline(always)]
    fn pieces<T: Real>(
        self,
        row: &[T],
        group: &Group<'_, T>,
        sums: &[f64],
        mut f: impl FnMut(usize, Piece),
    ) {
        for span in group.spans {
            let near = row[span.positive as usize];
            let bin_of = |far: T| (((near - far).to_f64() - self.low) / self.width).floor();
            let (mut start, end) = (span.start as usize, span.end as usize);
            while start < end {
                let bin = bin_of(group.far[start]);
                // At least the first gap is in its own bin, also where it is NaN.
                let last = group.holds_up_to(start, end, |far| bin_of(far) >= bin);
                let last = if group.ordered {
                    last.max(start + 1)
                } else {
                    start + 1
                };
                let far = sums[last] - sums[start];
                f(
                    span.positive as usize,
                    Piece {
                        bin,
                        start,
                        end: last,
                        sum: (last - start) as f64 * near.to_f64() - far,
                    },
                );
                start = last;
            }
        }
    }
}

/// What a task adds up, and its scratch memory.
#[derive(Default)]
struct Part {
    histogram: Vec<f64>,
    total: f64,
    /// Prefix sums of the distances of the negatives.
    sums: Vec<f64>,
    cover: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triplet_ranges::{GapInterval, TripletRanges};

    #[test]
    fn a_gap_counts_for_its_bin_and_the_next() {
        let bins = GapBins::new(-2.0, 1.0, 4);
        // −1.75 is a quarter of the way from bin 0; what lies outside belongs to the first or the last bin.
        let histogram = bins.histogram_of(&[-1.75f64, 0.0, 1.5, 7.25, -9.0]);
        assert_eq!(histogram, [1.75, 0.25, 1.0, 2.0]);
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
        let interval = GapInterval::default();
        let ranges = TripletRanges::select(&matrix, columns, 1.0, interval, split);
        // Mined with another distance: the order of the negatives is not that of the matrix.
        let other: Vec<f64> = matrix.iter().map(|x| (x * 40.0).sin()).collect();
        let disordered = TripletRanges::select(&other, columns, 1.0, interval, split);
        let bins = GapBins::new(-1.5, 0.3, 10);
        let weights: Vec<f64> = (0..10).map(|b| f64::from(b * b)).collect();
        let (mut gaps, mut sum) = (Vec::new(), 0.0);
        let mut want = vec![0.0; matrix.len()];
        ranges.for_each(|a, p, n| {
            let at = |r: u32| a as usize * columns + r as usize;
            let gap = matrix[at(p)] - matrix[at(n)];
            let weight = weights[bins.place(gap).0];
            gaps.push(gap);
            sum += weight * gap;
            want[at(p)] += weight;
            want[at(n)] -= weight;
        });
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        for walk in [
            TripletWalk::Ranges(&ranges),
            TripletWalk::Set(&ranges),
            TripletWalk::Ranges(&disordered),
            TripletWalk::Set(&disordered),
        ] {
            let histogram = bins.histogram(&matrix, columns, walk);
            assert!(close(&histogram, &bins.histogram_of(&gaps)));
            let (got, gradient) = bins.weighted_sum(&matrix, columns, walk, &weights);
            assert!((got - sum).abs() < 1e-9 && close(&gradient, &want));
        }
    }
}
