//! How far a pair is off the mean of its kind.

use candle_core::Tensor;
use dml_core::autograd::{self, Element, PartialGradient, with_slice};
use dml_core::kernels::{Real, for_each_row, map_rows};
use dml_core::{AnchorSums, Over, Pairs, Result, TensorExt, for_element};

use crate::machinery::anchor_pairs::{Anchor, AnchorPairs, Side};
use crate::machinery::pair_values::{PairFormula, PairSet, Within};

/// `max(0, sign · (x − factor · mean))²` of every pair of a set; the mean is that of the set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deviation {
    pub(super) sign: f64,
    pub(super) factor: f64,
}

/// The kept pairs of one anchor.
#[derive(Clone, Copy, Debug, Default)]
struct AnchorPart {
    sum: f64,
    count: u64,
    /// The sum of the hinges.
    hinges: f64,
}

/// What is known of the values once the mean is.
#[derive(Clone, Debug)]
struct Measure<T> {
    over: Over,
    sign: T,
    /// `factor · mean`.
    middle: T,
    within: Within<T>,
    pairs: AnchorPairs,
}

impl<T: Real> Measure<T> {
    /// The pairs of the measured kind of anchor `q`.
    fn side<'a>(&self, q: usize, anchor: &'a mut Anchor<T>) -> &'a Side<T> {
        self.pairs
            .of(q, &mut anchor.positives, &mut anchor.negatives);
        match self.over {
            Over::NegativePairs => &anchor.negatives,
            _ => &anchor.positives,
        }
    }

    /// The hinge of an entry, and whether its square is kept.
    fn hinge(&self, x: T) -> (T, bool) {
        let violation = self.sign * (x - self.middle);
        // The comparison is written so that NaN does not count as 0.
        let hinge = if violation <= T::ZERO {
            T::ZERO
        } else {
            violation
        };
        (hinge, self.within.keeps(hinge * hinge))
    }

    fn part(&self, q: usize, row: &[T], anchor: &mut Anchor<T>) -> AnchorPart {
        let side = self.side(q, anchor);
        let mut part = AnchorPart::default();
        for (i, &r) in side.rows.iter().enumerate() {
            let (hinge, is_kept) = self.hinge(row[r as usize]);
            if is_kept {
                let times = side.times(i).to_f64();
                part.sum += times * (hinge * hinge).to_f64();
                part.hinges += times * hinge.to_f64();
                part.count += times as u64;
            }
        }
        part
    }

    /// Writes the slopes of a row: `own` for each hinge of a kept pair, and `shared` for every pair through the mean.
    fn slopes(&self, q: usize, row: &[T], own: T, shared: T, out: &mut [T]) {
        let mut anchor = Anchor::default();
        let side = self.side(q, &mut anchor);
        for (i, &r) in side.rows.iter().enumerate() {
            let (hinge, is_kept) = self.hinge(row[r as usize]);
            let own = if is_kept { own * hinge } else { T::ZERO };
            out[r as usize] += side.times(i) * (own + shared);
        }
    }
}

impl PairFormula for Deviation {
    fn values(&self, set: &PairSet, list: &Pairs) -> Result<Tensor> {
        let (anchors, others) = set.rows(list);
        let x = set.matrix.pick_entries(anchors, others)?; // [P]
        let middle = (x.mean_all()? * self.factor)?;
        Ok((x.broadcast_sub(&middle)? * self.sign)?.hinge()?.sqr()?)
    }

    fn sums(&self, set: &PairSet, low: Option<f64>, high: Option<f64>) -> Result<AnchorSums> {
        for_element!(set.matrix, "matrix", |T| {
            self.sums_of::<T>(set, Within::new(low, high))
        })
    }
}

impl Deviation {
    fn sums_of<T: Element>(&self, set: &PairSet, within: Within<T>) -> Result<AnchorSums> {
        let number = |x: f64| <T as Real>::from_f64(x);
        let (queries, references) = set.matrix.dims2()?;
        let mut measure = Measure {
            over: set.over,
            sign: number(self.sign),
            middle: T::ZERO,
            within,
            pairs: set.pairs.clone(),
        };
        let total = set.count() as f64;
        let parts: Vec<AnchorPart> = with_slice(&set.matrix, |matrix: &[T]| {
            let row = |q: usize| &matrix[q * references..(q + 1) * references];
            let sums: Vec<f64> = map_rows(queries, |q, anchor: &mut Anchor<T>| {
                let side = measure.side(q, anchor);
                let entry = |(i, &r): (usize, &u32)| side.times(i) * row(q)[r as usize];
                let entries = side.rows.iter().enumerate().map(entry);
                entries.map(|x| Real::to_f64(x)).sum()
            });
            let mean = sums.iter().sum::<f64>() / total;
            measure.middle = number(self.factor * mean);
            map_rows(queries, |q, anchor| measure.part(q, row(q), anchor))
        })?;
        let counts = parts.iter().map(|part| part.count).collect();
        let sums: Vec<T> = parts.iter().map(|part| number(part.sum)).collect();
        let Self { sign, factor } = *self;
        let backward = move |matrix: &Tensor, _: &Tensor, gradient: &Tensor| {
            let slopes = with_slice(gradient, |g: &[T]| {
                with_slice(matrix, |matrix: &[T]| {
                    let hinges = parts.iter().zip(g);
                    let hinges = hinges.map(|(part, g)| part.hinges * Real::to_f64(*g));
                    let hinges: f64 = hinges.sum();
                    let shared = number(-2.0 * sign * factor * hinges / total);
                    let mut slopes = vec![<T as Real>::ZERO; queries * references];
                    for_each_row(&mut slopes, references, |q, out| {
                        let row = &matrix[q * references..(q + 1) * references];
                        let own = number(2.0 * sign) * g[q];
                        measure.slopes(q, row, own, shared, out);
                    });
                    slopes
                })
            })??;
            Ok(PartialGradient::dense(slopes))
        };
        let sums = autograd::of_matrix(set.name, &set.matrix, sums, queries, backward)?;
        Ok(AnchorSums { sums, counts })
    }
}
