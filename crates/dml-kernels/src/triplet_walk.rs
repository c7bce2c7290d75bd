//! Triplets anchor by anchor, in whichever form they are known: what sums over them are made of.

use rayon::prelude::*;

use crate::in_place::InPlace;
use crate::lengths;
use crate::sum_within::Within;
use crate::triplet_ranges::{PositiveSpan, TripletRanges};
use crate::{Real, TripletSet};

/// Rows that one task takes at a time; fixed, so that results do not depend on the number of threads.
const ROWS: usize = 16;

/// Triplets that are not written out.
#[derive(Clone, Copy, Debug)]
pub enum TripletWalk<'a> {
    /// As intervals of each anchor's negatives.
    Ranges(&'a TripletRanges),
    /// By a rule.
    Set(&'a dyn TripletSet),
}

/// Some positives of one anchor, and which of its negatives go with each.
#[derive(Debug)]
pub(crate) struct Group<'a, T> {
    pub(crate) negatives: &'a [u32],
    pub(crate) spans: &'a [PositiveSpan],
    /// How far each negative is: `sign · row[n]`.
    pub(crate) far: &'a [T],
    /// Whether `far` never decreases.
    pub(crate) ordered: bool,
}

/// The sums of the first i numbers, for each i from 0 on.
#[inline(always)]
pub(crate) fn prefix_sums(numbers: impl Iterator<Item = f64>, sums: &mut Vec<f64>) {
    sums.clear();
    sums.push(0.0);
    let mut sum = 0.0;
    sums.extend(numbers.map(|number| {
        sum += number;
        sum
    }));
}

impl<T: Real> Group<'_, T> {
    /// `f(negative, far, cover)` for each negative: `marks` has what pieces of the order add to the cover where they begin
    /// and take from it where they end.
    #[inline(always)]
    pub(crate) fn for_each_covered(&self, marks: &[f64], mut f: impl FnMut(u32, T, f64)) {
        let mut cover = 0.0;
        for ((&negative, &far), mark) in self.negatives.iter().zip(self.far).zip(marks) {
            cover += mark;
            f(negative, far, cover);
        }
    }

    /// The places of a span whose values are within the bounds, where values fall along the order: from the first to before
    /// the last.
    #[inline(always)]
    pub(crate) fn piece(
        &self,
        span: &PositiveSpan,
        within: Within<T>,
        value: impl Fn(T) -> T,
    ) -> (usize, usize) {
        let (start, end) = (span.start as usize, span.end as usize);
        let first = within.high.map_or(start, |high| {
            self.holds_up_to(start, end, |far| value(far) >= high)
        });
        let last = within.low.map_or(end, |low| {
            self.holds_up_to(start, end, |far| value(far) > low)
        });
        (first, last.max(first))
    }

    /// How many places of a piece of `far`, from its beginning, `holds` holds for, where it never holds again once it
    /// fails along the order; one place at a time where there is no order.
    #[inline(always)]
    pub(crate) fn holds_up_to(&self, start: usize, end: usize, holds: impl Fn(T) -> bool) -> usize {
        let piece = &self.far[start..end];
        let count = if self.ordered {
            piece.partition_point(|far| holds(*far))
        } else {
            piece.iter().take_while(|far| holds(**far)).count()
        };
        start + count
    }
}

impl TripletWalk<'_> {
    /// How many triplets there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Self::Ranges(ranges) => ranges.count(),
            Self::Set(set) => set.count(),
        }
    }

    /// How many triplets each of `anchors` anchors has.
    #[must_use]
    pub fn counts(&self, anchors: usize) -> Vec<u64> {
        let mut counts = vec![0; anchors];
        for (a, count) in counts.iter_mut().enumerate() {
            match self {
                Self::Ranges(ranges) => {
                    let lengths = ranges.spans(a).iter().map(|s| u64::from(s.end - s.start));
                    *count = lengths.sum();
                }
                Self::Set(set) => {
                    if a < set.anchors() {
                        set.for_anchor(a, &mut |_, negatives| *count += negatives.len() as u64);
                    }
                }
            }
        }
        counts
    }

    /// `f(total, a, row, gradient, group)` for the groups of every anchor, in parallel; the totals of each task, in
    /// order. `gradient` has the shape of `matrix` `[anchors, references]`, or is empty.
    pub(crate) fn fold<T: Real, A: Default + Send>(
        &self,
        matrix: &[T],
        references: usize,
        sign: T,
        gradient: &mut [T],
        f: impl Fn(&mut A, usize, &[T], &mut [T], &Group<'_, T>) + Sync,
    ) -> Vec<A> {
        let anchors = lengths::rows("matrix", matrix.len(), references);
        let known = match self {
            Self::Ranges(ranges) => ranges.anchors(),
            Self::Set(set) => set.anchors(),
        };
        lengths::length("matrix", anchors, known);
        if !gradient.is_empty() {
            lengths::length("gradient", gradient.len(), matrix.len());
        }
        let mut jobs = Vec::with_capacity(anchors.div_ceil(ROWS));
        let mut rest = gradient;
        for first in (0..anchors).step_by(ROWS) {
            let last = (first + ROWS).min(anchors);
            let (head, tail) = rest.split_at_mut(rest.len().min((last - first) * references));
            rest = tail;
            jobs.push((first..last, head));
        }
        jobs.into_par_iter().map_in_place(|(anchors, gradient)| {
            let (mut total, mut far) = (A::default(), Vec::new());
            let mut rows = gradient.chunks_exact_mut(references);
            for a in anchors {
                let row = &matrix[a * references..][..references];
                let gradient = rows.next().unwrap_or_default();
                let mut visit = |negatives: &[u32], spans: &[PositiveSpan]| {
                    far.clear();
                    far.extend(negatives.iter().map(|&n| sign * row[n as usize]));
                    let group = Group {
                        negatives,
                        spans,
                        far: &far,
                        ordered: far.is_sorted(),
                    };
                    f(&mut total, a, row, &mut *gradient, &group);
                };
                match self {
                    Self::Ranges(ranges) => visit(ranges.negatives(a), ranges.spans(a)),
                    Self::Set(set) if a < set.anchors() => {
                        set.for_anchor(a, &mut |positive, negatives| {
                            let all = PositiveSpan {
                                positive,
                                start: 0,
                                end: negatives.len() as u32,
                            };
                            visit(negatives, &[all]);
                        });
                    }
                    Self::Set(_) => {}
                }
            }
            total
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triplet_ranges::GapInterval;

    #[test]
    fn both_forms_visit_every_triplet_once() {
        let matrix: Vec<f64> = (0..40 * 7).map(|i| f64::from(i * 37 % 101)).collect();
        let ranges = TripletRanges::select(&matrix, 7, 1.0, GapInterval::default(), |a, p, n| {
            p.extend((0..7).filter(|r| (*r as usize + a).is_multiple_of(3)));
            n.extend((0..7).filter(|r| (*r as usize + a) % 3 == 1));
        });
        let sums = |walk: TripletWalk<'_>| {
            let mut visits = vec![0.0; matrix.len()];
            let totals = walk.fold(
                &matrix,
                7,
                1.0,
                &mut visits,
                |total: &mut f64, a, row, visits, group| {
                    for span in group.spans {
                        for place in span.start..span.end {
                            let n = group.negatives[place as usize];
                            assert_eq!(group.far[place as usize], row[n as usize]);
                            visits[n as usize] += 1.0;
                            visits[span.positive as usize] += 1.0;
                            *total += row[n as usize] - row[span.positive as usize] + a as f64;
                        }
                    }
                },
            );
            assert_eq!(walk.counts(40).iter().sum::<u64>(), walk.count());
            (totals.iter().sum::<f64>(), visits)
        };
        let in_ranges = sums(TripletWalk::Ranges(&ranges));
        assert_eq!(in_ranges, sums(TripletWalk::Set(&ranges)));
        assert_eq!(in_ranges.1.iter().sum::<f64>(), 2.0 * ranges.count() as f64);
        assert_eq!(TripletWalk::Ranges(&ranges).counts(50)[45], 0);
        assert_eq!(TripletWalk::Set(&ranges).counts(50)[45], 0);
    }
}
