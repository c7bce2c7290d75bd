//! All triplets of a batch as intervals, without writing one of them out.
//!
//! Every anchor's negatives are sorted once by their distance `h` to the anchor. A selection rule that looks at the
//! gap `h(a,n) − h(a,p)` then picks, for each positive, a contiguous piece of that order, which two binary searches
//! find. The comparison is made on the gap as it comes out in floating point, so the set is exactly the one that
//! comparing every triplet would give: rounding is monotone, so the rounded gap never decreases along the order.
//! Negatives that no positive of the anchor selects are not sorted at all.
//!
//! No bound holds for a gap that is NaN: between distances of which one is NaN, or both are infinite. An anchor with such
//! a gap keeps all triplets of the negatives that are left, so that whoever sums over them meets it.
//!
//! ```text
//! time O(N² log N), memory O(N²), for O(N³) triplets
//! ```

use crate::Real;
use crate::distance_order::DistanceOrder;
use crate::in_place::InPlace;
use crate::lengths;
use rayon::prelude::*;
use std::ops::Range;

/// Rows that one task takes at a time; fixed, so that results do not depend on the number of threads.
const ROWS: usize = 16;

/// Which gaps `h(a,n) − h(a,p)` are selected: `above < gap <= at_most`, each bound optional.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GapInterval {
    /// Exclusive lower bound.
    pub above: Option<f64>,
    /// Inclusive upper bound.
    pub at_most: Option<f64>,
}

/// Triplets `(anchor, positive, negative)` as one interval of sorted negatives per pair of anchor and positive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TripletRanges {
    anchors: usize,
    references: usize,
    count: u64,
    /// The ranges of every [`ROWS`] anchors.
    parts: Vec<Part>,
}

/// A pair of anchor and positive, and where its negatives lie in the anchor's [`TripletRanges::negatives`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositiveSpan {
    /// Row of the positive in the reference set.
    pub positive: u32,
    /// First selected place in the anchor's order of negatives.
    pub start: u32,
    /// One past the last selected place.
    pub end: u32,
}

/// The ranges of a few anchors.
#[derive(Clone, Debug, Default, PartialEq)]
struct Part {
    /// Where the negatives and the spans of each anchor end.
    ends: Vec<(usize, usize)>,
    negatives: Vec<u32>,
    spans: Vec<PositiveSpan>,
}

impl TripletRanges {
    /// Selects triplets from a `[anchors, references]` matrix of distances (`sign` 1) or similarities (`sign` −1).
    ///
    /// `split(a, positives, negatives)` appends the rows that are positive and negative for anchor `a`.
    ///
    /// # Panics
    /// If `split` names a row that is no reference.
    pub fn select<T: Real>(
        matrix: &[T],
        references: usize,
        sign: T,
        interval: GapInterval,
        split: impl Fn(usize, &mut Vec<u32>, &mut Vec<u32>) + Sync,
    ) -> Self {
        let anchors = lengths::rows("matrix", matrix.len(), references);
        let starts: Vec<usize> = (0..anchors).step_by(ROWS).collect();
        let parts: Vec<Part> = starts.into_par_iter().map_in_place(|first| {
            let mut part = Part::default();
            let mut scratch = Scratch::default();
            for a in first..(first + ROWS).min(anchors) {
                let row = &matrix[a * references..][..references];
                scratch.positives.clear();
                scratch.negatives.clear();
                split(a, &mut scratch.positives, &mut scratch.negatives);
                part.push_anchor(row, sign, interval, &mut scratch);
            }
            part
        });
        let lengths = parts
            .iter()
            .flat_map(|part| &part.spans)
            .map(|span| u64::from(span.end - span.start));
        Self {
            anchors,
            references,
            count: lengths.sum(),
            parts,
        }
    }

    /// How many anchors there are, with triplets or without.
    #[must_use]
    pub fn anchors(&self) -> usize {
        self.anchors
    }

    /// How many references positives and negatives are taken from.
    #[must_use]
    pub fn references(&self) -> usize {
        self.references
    }

    /// How many triplets are selected. Nothing is expanded to count them.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The negatives of an anchor that any of its positives selects, nearest first; none for an anchor that does not
    /// exist.
    #[must_use]
    pub fn negatives(&self, anchor: usize) -> &[u32] {
        match self.part(anchor) {
            Some((part, negatives, _)) => &part.negatives[negatives],
            None => &[],
        }
    }

    /// `f(negative, times)` for each of the anchor's negatives, nearest first: how many of its positives select it.
    ///
    /// Spans overlap: only their ends are looked at, and `ends` is memory for them.
    pub fn for_each_negative(
        &self,
        anchor: usize,
        ends: &mut Vec<i64>,
        mut f: impl FnMut(u32, u64),
    ) {
        let negatives = self.negatives(anchor);
        ends.clear();
        ends.resize(negatives.len() + 1, 0);
        for span in self.spans(anchor) {
            ends[span.start as usize] += 1;
            ends[span.end as usize] -= 1;
        }
        let mut covering = 0;
        for (&negative, change) in negatives.iter().zip(&*ends) {
            covering += change;
            f(negative, covering as u64);
        }
    }

    /// The positives of an anchor that have a selected negative, with the places of these.
    #[must_use]
    pub fn spans(&self, anchor: usize) -> &[PositiveSpan] {
        match self.part(anchor) {
            Some((part, _, spans)) => &part.spans[spans],
            None => &[],
        }
    }

    /// Where the negatives and the spans of an anchor lie.
    fn part(&self, anchor: usize) -> Option<(&Part, Range<usize>, Range<usize>)> {
        let part = self.parts.get(anchor / ROWS)?;
        let i = anchor % ROWS;
        let (negatives, spans) = *part.ends.get(i)?;
        let (first_negative, first_span) = if i == 0 { (0, 0) } else { part.ends[i - 1] };
        Some((part, first_negative..negatives, first_span..spans))
    }

    /// Every triplet `(anchor, positive, negative)`, in lexicographic order. Cubic: only for those who ask.
    pub fn for_each(&self, mut f: impl FnMut(u32, u32, u32)) {
        let mut chosen = Vec::new();
        for a in 0..self.anchors {
            let negatives = self.negatives(a);
            for span in self.spans(a) {
                chosen.clear();
                chosen.extend_from_slice(&negatives[span.start as usize..span.end as usize]);
                chosen.sort_unstable();
                for &n in &chosen {
                    f(a as u32, span.positive, n);
                }
            }
        }
    }
}

impl Part {
    fn push_anchor<T: Real>(
        &mut self,
        row: &[T],
        sign: T,
        interval: GapInterval,
        scratch: &mut Scratch<T>,
    ) {
        let bounds = Bounds {
            above: interval.above.map(T::from_f64),
            at_most: interval.at_most.map(T::from_f64),
        };
        // A lone positive or negative makes no triplet: leave the anchor empty and spare the sort.
        if !scratch.positives.is_empty() && !scratch.negatives.is_empty() {
            let near = scratch.positives.iter().map(|&p| sign * row[p as usize]);
            let (nearest, farthest, near_is_nan) = near.fold(
                (
                    T::from_f64(f64::INFINITY),
                    T::from_f64(f64::NEG_INFINITY),
                    false,
                ),
                |(low, high, nan), x| (low.min(x), high.max(x), nan | x.is_nan()),
            );
            if interval != GapInterval::default() && !near_is_nan {
                let selectable = |far: T| bounds.admit(far - nearest, far - farthest);
                scratch
                    .negatives
                    .retain(|&n| selectable(sign * row[n as usize]));
            }
            let far = scratch.order.sort(&mut scratch.negatives, row, sign);
            // In this order NaN comes first or last, as infinities do.
            let ends = [far.first(), far.last()];
            let gap_is_nan = |far: &T| (*far - nearest).is_nan() || (*far - farthest).is_nan();
            let takes_all = near_is_nan || ends.into_iter().flatten().any(gap_is_nan);
            self.negatives.extend_from_slice(&scratch.negatives);
            for &p in &scratch.positives {
                let places = if takes_all {
                    0..far.len()
                } else {
                    bounds.places(far, sign * row[p as usize])
                };
                if !places.is_empty() {
                    self.spans.push(PositiveSpan {
                        positive: p,
                        start: places.start as u32,
                        end: places.end as u32,
                    });
                }
            }
        }
        self.ends.push((self.negatives.len(), self.spans.len()));
    }
}

/// A [`GapInterval`] in the type of the distances.
#[derive(Clone, Copy)]
struct Bounds<T> {
    above: Option<T>,
    at_most: Option<T>,
}

impl<T: Real> Bounds<T> {
    /// Whether gaps between these two may be selected, or one of them is NaN.
    fn admit(self, widest: T, narrowest: T) -> bool {
        let (above, at_most) = (
            self.above.is_none_or(|bound| widest > bound),
            self.at_most.is_none_or(|bound| narrowest <= bound),
        );
        above && at_most || widest.is_nan() || narrowest.is_nan()
    }

    /// Which of the sorted distances have a selected gap to `near`.
    fn places(self, far: &[T], near: T) -> Range<usize> {
        let start = self
            .above
            .map_or(0, |bound| far.partition_point(|far| *far - near <= bound));
        let end = self.at_most.map_or(far.len(), |bound| {
            far.partition_point(|far| *far - near <= bound)
        });
        start..end
    }
}

#[derive(Default)]
struct Scratch<T> {
    positives: Vec<u32>,
    negatives: Vec<u32>,
    order: DistanceOrder<T>,
}

#[cfg(test)]
pub(crate) mod tests;
