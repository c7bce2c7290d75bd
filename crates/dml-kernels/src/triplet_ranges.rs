//! All triplets of a batch as intervals, without writing one of them out.
//!
//! Every anchor's negatives are sorted once by their distance `h` to the anchor. A selection rule that looks at the
//! gap `h(a,n) − h(a,p)` then picks, for each positive, a contiguous piece of that order, which two binary searches
//! find. The comparison is made on the gap as it comes out in floating point, so the set is exactly the one that
//! comparing every triplet would give: rounding is monotone, so the rounded gap never decreases along the order.
//!
//! ```text
//! time O(N² log N), memory O(N²), for O(N³) triplets
//! ```

use crate::Real;
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
    negative_offsets: Vec<usize>,
    negatives: Vec<u32>,
    positive_offsets: Vec<usize>,
    positives: Vec<u32>,
    spans: Vec<(u32, u32)>,
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

impl TripletRanges {
    /// Selects triplets from a `[anchors, references]` matrix of distances (`sign` 1) or similarities (`sign` −1).
    ///
    /// `split(a, positives, negatives)` appends the rows that are positive and negative for anchor `a`.
    pub fn select<T: Real>(
        matrix: &[T],
        references: usize,
        sign: T,
        interval: GapInterval,
        split: impl Fn(usize, &mut Vec<u32>, &mut Vec<u32>) + Sync,
    ) -> Self {
        let anchors = matrix.len().checked_div(references).unwrap_or(0);
        let starts: Vec<usize> = (0..anchors).step_by(ROWS).collect();
        let parts: Vec<Self> = starts
            .into_par_iter()
            .map(|first| {
                let mut part = Self::empty();
                let mut scratch = Scratch::default();
                for a in first..(first + ROWS).min(anchors) {
                    let row = &matrix[a * references..][..references];
                    scratch.positives.clear();
                    scratch.negatives.clear();
                    split(a, &mut scratch.positives, &mut scratch.negatives);
                    part.push_anchor(row, sign, interval, &mut scratch);
                }
                part
            })
            .collect();
        Self::concatenate(parts)
    }

    fn empty() -> Self {
        Self {
            negative_offsets: vec![0],
            positive_offsets: vec![0],
            ..Self::default()
        }
    }

    fn push_anchor<T: Real>(
        &mut self,
        row: &[T],
        sign: T,
        interval: GapInterval,
        scratch: &mut Scratch<T>,
    ) {
        // A lone positive or negative makes no triplet: leave the anchor empty and spare the sort.
        if !scratch.positives.is_empty() && !scratch.negatives.is_empty() {
            scratch.sort_negatives(row, sign);
            self.negatives.extend_from_slice(&scratch.negatives);
            let (above, at_most) = (
                interval.above.map(T::from_f64),
                interval.at_most.map(T::from_f64),
            );
            let sorted = &scratch.sorted;
            for &p in &scratch.positives {
                let near = sign * row[p as usize];
                let start = above.map_or(0, |bound| {
                    sorted.partition_point(|far| *far - near <= bound)
                });
                let end = at_most.map_or(sorted.len(), |bound| {
                    sorted.partition_point(|far| *far - near <= bound)
                });
                if start < end {
                    self.positives.push(p);
                    self.spans.push((start as u32, end as u32));
                }
            }
        }
        self.negative_offsets.push(self.negatives.len());
        self.positive_offsets.push(self.positives.len());
    }

    fn concatenate(parts: Vec<Self>) -> Self {
        let mut all = Self::empty();
        all.negatives
            .reserve_exact(parts.iter().map(|p| p.negatives.len()).sum());
        all.positives
            .reserve_exact(parts.iter().map(|p| p.positives.len()).sum());
        all.spans
            .reserve_exact(parts.iter().map(|p| p.spans.len()).sum());
        // Each part is freed once it is copied: its pages serve what is still to be written.
        for part in parts {
            let (negatives, positives) = (all.negatives.len(), all.positives.len());
            all.negatives.extend_from_slice(&part.negatives);
            all.positives.extend_from_slice(&part.positives);
            all.spans.extend_from_slice(&part.spans);
            all.negative_offsets
                .extend(part.negative_offsets[1..].iter().map(|o| o + negatives));
            all.positive_offsets
                .extend(part.positive_offsets[1..].iter().map(|o| o + positives));
        }
        all
    }

    /// How many anchors there are, with triplets or without.
    #[must_use]
    pub fn anchors(&self) -> usize {
        self.negative_offsets.len().saturating_sub(1)
    }

    /// How many triplets are selected. Nothing is expanded to count them.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.spans
            .iter()
            .map(|(start, end)| u64::from(end - start))
            .sum()
    }

    /// The negatives of an anchor, nearest first; none for an anchor that does not exist.
    #[must_use]
    pub fn negatives(&self, anchor: usize) -> &[u32] {
        &self.negatives[piece(&self.negative_offsets, anchor)]
    }

    /// The positives of an anchor that have a selected negative, with the places of these.
    pub fn spans(&self, anchor: usize) -> impl Iterator<Item = PositiveSpan> + '_ {
        let range = piece(&self.positive_offsets, anchor);
        self.positives[range.clone()]
            .iter()
            .zip(&self.spans[range])
            .map(|(&positive, &(start, end))| PositiveSpan {
                positive,
                start,
                end,
            })
    }

    /// All positives and all negatives that stand in any range: what must be checked before a matrix is indexed.
    #[must_use]
    pub fn rows(&self) -> (&[u32], &[u32]) {
        (&self.positives, &self.negatives)
    }

    /// Every triplet `(anchor, positive, negative)`, in lexicographic order. Cubic: only for those who ask.
    pub fn for_each(&self, mut f: impl FnMut(u32, u32, u32)) {
        let mut chosen = Vec::new();
        for a in 0..self.anchors() {
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

/// Where an anchor's part of a list lies.
fn piece(offsets: &[usize], anchor: usize) -> Range<usize> {
    match offsets.get(anchor..anchor + 2) {
        Some(ends) => ends[0]..ends[1],
        None => 0..0,
    }
}

struct Scratch<T> {
    positives: Vec<u32>,
    negatives: Vec<u32>,
    narrow: Vec<u64>,
    wide: Vec<(u64, u32)>,
    sorted: Vec<T>,
}

impl<T> Default for Scratch<T> {
    fn default() -> Self {
        Self {
            positives: Vec::new(),
            negatives: Vec::new(),
            narrow: Vec::new(),
            wide: Vec::new(),
            sorted: Vec::new(),
        }
    }
}

impl<T: Real> Scratch<T> {
    /// Sorts `negatives` by distance, then row, and leaves their distances in `sorted`.
    fn sort_negatives(&mut self, row: &[T], sign: T) {
        let key = |n: u32| (sign * row[n as usize]).sort_key();
        if size_of::<T>() == 4 {
            // Key and row share one word: sorting single words takes about half the time of sorting pairs.
            self.narrow.clear();
            self.narrow
                .extend(self.negatives.iter().map(|&n| key(n) << 32 | u64::from(n)));
            self.narrow.sort_unstable();
            for (n, word) in self.negatives.iter_mut().zip(&self.narrow) {
                *n = *word as u32;
            }
        } else {
            self.wide.clear();
            self.wide
                .extend(self.negatives.iter().map(|&n| (key(n), n)));
            self.wide.sort_unstable();
            for (n, (_, row)) in self.negatives.iter_mut().zip(&self.wide) {
                *n = *row;
            }
        }
        self.sorted.clear();
        self.sorted
            .extend(self.negatives.iter().map(|&n| sign * row[n as usize]));
    }
}

#[cfg(test)]
pub(crate) mod tests;
