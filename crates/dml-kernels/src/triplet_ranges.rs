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
use pulp::Arch;
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

    /// The negatives of an anchor, nearest first.
    #[must_use]
    pub fn negatives(&self, anchor: usize) -> &[u32] {
        &self.negatives[self.negative_offsets[anchor]..self.negative_offsets[anchor + 1]]
    }

    /// The positives of an anchor that have a selected negative, with the places of these.
    pub fn spans(&self, anchor: usize) -> impl Iterator<Item = PositiveSpan> + '_ {
        let range: Range<usize> = self.positive_offsets[anchor]..self.positive_offsets[anchor + 1];
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
            Self::Hinge => v.max(T::ZERO),
            Self::Softplus => v.max(T::ZERO) + (-v.abs()).exp().ln_1p(),
        }
    }

    #[inline(always)]
    fn slope<T: Real>(self, v: T) -> T {
        match self {
            Self::Hinge => {
                if v > T::ZERO {
                    T::ONE
                } else {
                    T::ZERO
                }
            }
            Self::Softplus => T::ONE / (T::ONE + (-v).exp()),
        }
    }
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
    /// Only values strictly below this one count.
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
    /// Gradient with respect to the `[references, references]` matrix of `swap`; empty without it.
    pub swap_gradient: Vec<T>,
}

impl<T: Real> TripletMargin<T> {
    /// Sums the loss over all triplets of `ranges`.
    ///
    /// `matrix` is `[anchors, references]`. With `swap`, a `[references, references]` matrix, the nearer of
    /// `h(a,n)` and `h(p,n)` takes the place of `h(a,n)`; then, and for anchors whose order in `ranges` is not the
    /// order of `matrix` (mined with another distance), the triplets are walked one by one without storing them.
    #[must_use]
    pub fn sum(
        &self,
        matrix: &[T],
        references: usize,
        ranges: &TripletRanges,
        swap: Option<&[T]>,
    ) -> TripletSum<T> {
        let mut gradient = vec![T::ZERO; matrix.len()];
        let arch = Arch::new();
        let (sum, count, swap_gradient) = match swap {
            None => {
                let parts: Vec<(f64, u64)> = gradient
                    .par_chunks_mut((ROWS * references).max(1))
                    .enumerate()
                    .map(|(chunk, gradient)| {
                        let mut scratch = SumScratch::default();
                        arch.dispatch(|| {
                            let mut total = (0.0, 0);
                            for (i, gradient) in gradient.chunks_exact_mut(references).enumerate() {
                                let a = chunk * ROWS + i;
                                let row = &matrix[a * references..][..references];
                                let (sum, count) =
                                    self.sum_anchor(row, ranges, a, gradient, &mut scratch);
                                total = (total.0 + sum, total.1 + count);
                            }
                            total
                        })
                    })
                    .collect();
                let total = parts.iter().fold((0.0, 0), |t, p| (t.0 + p.0, t.1 + p.1));
                (total.0, total.1, Vec::new())
            }
            Some(inside) => {
                // The gradient of h(p,n) lands in rows that other anchors share: one buffer a thread, added in order.
                let chunks = crate::row_chunks(ranges.anchors());
                let mut rest: &mut [T] = &mut gradient;
                let mut jobs = Vec::new();
                for chunk in chunks {
                    let (head, tail) = rest.split_at_mut(chunk.len() * references);
                    rest = tail;
                    jobs.push((chunk, head));
                }
                let parts: Vec<(f64, u64, Vec<T>)> = jobs
                    .into_par_iter()
                    .map(|(chunk, gradient)| {
                        let mut inside_gradient = vec![T::ZERO; inside.len()];
                        let mut total = (0.0, 0);
                        for (a, gradient) in chunk.zip(gradient.chunks_exact_mut(references)) {
                            let row = &matrix[a * references..][..references];
                            let (sum, count) = self.walk_anchor(
                                row,
                                Some(inside),
                                ranges,
                                a,
                                gradient,
                                &mut inside_gradient,
                            );
                            total = (total.0 + sum, total.1 + count);
                        }
                        (total.0, total.1, inside_gradient)
                    })
                    .collect();
                let mut total = (0.0, 0);
                let mut inside_gradient: Vec<T> = Vec::new();
                for (sum, count, part) in parts {
                    total = (total.0 + sum, total.1 + count);
                    if inside_gradient.is_empty() {
                        inside_gradient = part;
                    } else {
                        inside_gradient
                            .iter_mut()
                            .zip(part)
                            .for_each(|(g, p)| *g += p);
                    }
                }
                (total.0, total.1, inside_gradient)
            }
        };
        TripletSum {
            sum,
            count,
            gradient,
            swap_gradient,
        }
    }

    #[inline(always)]
    fn counts(&self, value: T) -> bool {
        self.low.is_none_or(|low| value > low) && self.high.is_none_or(|high| value < high)
    }

    /// One anchor by prefix sums where its negatives are sorted by `row`, else one triplet at a time.
    #[inline(always)]
    fn sum_anchor(
        &self,
        row: &[T],
        ranges: &TripletRanges,
        a: usize,
        gradient: &mut [T],
        scratch: &mut SumScratch<T>,
    ) -> (f64, u64) {
        let negatives = ranges.negatives(a);
        scratch.far.clear();
        scratch
            .far
            .extend(negatives.iter().map(|&n| self.sign * row[n as usize]));
        if !scratch.far.is_sorted()
            || (self.penalty == TripletPenalty::Softplus
                && !scratch.exponentials_fit(row, self.margin))
        {
            return self.walk_anchor(row, None, ranges, a, gradient, &mut []);
        }
        match self.penalty {
            TripletPenalty::Hinge => scratch.prefix_sums(),
            TripletPenalty::Softplus => scratch.exponentials(),
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
                    let active =
                        first + far[first..last].partition_point(|far| violation(*far) > T::ZERO);
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
        ranges: &TripletRanges,
        a: usize,
        gradient: &mut [T],
        swap_gradient: &mut [T],
    ) -> (f64, u64) {
        let negatives = ranges.negatives(a);
        let half = T::from_f64(0.5);
        let (mut sum, mut count) = (0.0, 0u64);
        for span in ranges.spans(a) {
            let p = span.positive as usize;
            let near = self.sign * row[p];
            let mut pull = 0.0;
            for &n in &negatives[span.start as usize..span.end as usize] {
                let n = n as usize;
                let from_anchor = self.sign * row[n];
                let from_positive = swap.map(|inside| self.sign * inside[p * row.len() + n]);
                let far = from_positive.map_or(from_anchor, |other| from_anchor.min(other));
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
                        swap_gradient[p * row.len() + n] -= self.sign * slope
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
        }
        (sum, count)
    }

    /// The value of every triplet of `ranges`, in the order of [`TripletRanges::for_each`]. Cubic memory.
    #[must_use]
    pub fn values(
        &self,
        matrix: &[T],
        references: usize,
        ranges: &TripletRanges,
        swap: Option<&[T]>,
    ) -> Vec<T> {
        let mut values = Vec::new();
        ranges.for_each(|a, p, n| {
            let at = |row: u32, column: u32, matrix: &[T]| {
                self.sign * matrix[row as usize * references + column as usize]
            };
            let from_anchor = at(a, n, matrix);
            let far = swap.map_or(from_anchor, |inside| from_anchor.min(at(p, n, inside)));
            values.push(self.penalty.value(at(a, p, matrix) - far + self.margin));
        });
        values
    }
}

#[derive(Default)]
struct SumScratch<T> {
    /// Distances of the negatives, nearest first.
    far: Vec<T>,
    /// Hinge: `sums[i]` = sum of the first i of `far`. Softplus: e^(centre − far).
    sums: Vec<f64>,
    /// Hinge: +1 where a span begins, −1 where it ends. Softplus: the weight of each negative.
    weights: Vec<f64>,
    /// Added to every exponent so that no exponential overflows.
    centre: f64,
}

impl<T: Real> SumScratch<T> {
    fn prefix_sums(&mut self) {
        self.sums.clear();
        self.sums.push(0.0);
        let mut sum = 0.0;
        for far in &self.far {
            sum += far.to_f64();
            self.sums.push(sum);
        }
    }

    /// Whether every e^±(h(a,p) − h(a,n) + margin) is far from the limits of double precision.
    fn exponentials_fit(&mut self, row: &[T], margin: T) -> bool {
        let reach = row
            .iter()
            .fold(margin.to_f64().abs(), |m, x| f64::max(m, x.to_f64().abs()));
        self.centre = self
            .far
            .get(self.far.len() / 2)
            .map_or(0.0, |far| far.to_f64());
        // NaN is no larger and no smaller than anything: ask that the value be inside.
        reach < 100.0
    }

    fn exponentials(&mut self) {
        let centre = self.centre;
        self.sums.clear();
        self.sums
            .extend(self.far.iter().map(|far| (centre - far.to_f64()).exp()));
    }

    /// Σ ln(1 + e^(near − far)) over a piece of the order, and Σ of its slopes, which are also added to `weights`.
    ///
    /// e^(near − far) is a product of two factors, one of the positive and one of the negative, so no exponential is
    /// computed for a triplet; and the sum of logarithms is the logarithm of a product, taken every few terms.
    #[inline(always)]
    fn softplus(&mut self, near: f64, first: usize, last: usize) -> (f64, f64) {
        const TERMS: usize = 2;
        let factor = (near - self.centre).exp();
        let (mut value, mut slopes) = (0.0, 0.0);
        let far = &self.sums[first..last];
        let weights = &mut self.weights[first..last];
        for (far, weights) in far.chunks(8 * TERMS).zip(weights.chunks_mut(8 * TERMS)) {
            let mut products = [1.0f64; 8];
            let mut partial = [0.0f64; 8];
            for (far, weights) in far.chunks(8).zip(weights.chunks_mut(8)) {
                for (((far, weight), product), partial) in
                    far.iter().zip(weights).zip(&mut products).zip(&mut partial)
                {
                    let odds = factor * far;
                    let slope = odds / (1.0 + odds);
                    *product *= 1.0 + odds;
                    *weight += slope;
                    *partial += slope;
                }
            }
            // Each factor is below e^300 at most, two of them below the largest double; the eight are logged apart
            // only when their product would not fit.
            let joint: f64 = products.iter().product();
            value += if joint < 1e300 {
                joint.ln()
            } else {
                products.iter().map(|p| p.ln()).sum()
            };
            slopes += partial.iter().sum::<f64>();
        }
        (value, slopes)
    }
}

#[cfg(test)]
mod tests;
