//! How far a pair is off the mean of its kind.

use candle_core::Tensor;
use dml_core::autograd::{self, Element, PartialGradient, with_slice};
use dml_core::kernels::sum_within::Within;
use dml_core::kernels::{Real, for_each_row_with, map_rows, vectorized};
use dml_core::{AnchorSums, Pairs, Result, TensorExt, for_element};

use crate::machinery::expression::{Composite, Dual, Expression};
use crate::machinery::pair_formula::KeptValues;
use crate::machinery::pair_set::{PairSet, PairSums};
use crate::machinery::side::{Anchor, Side};

/// `max(0, sign · (x − factor · mean))²` of every pair of a set; the mean is that of the set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deviation {
    pub(super) sign: f64,
    pub(super) factor: f64,
}

impl Deviation {
    #[inline(always)]
    fn value<E: Expression>(&self, x: E, mean: E) -> E {
        let violation = ((x - mean * self.factor) * self.sign).hinge();
        violation.clone() * violation
    }

    /// The value of a pair, with its gradient with respect to its entry and to the mean.
    #[inline(always)]
    fn at<T: Real>(&self, x: T, mean: T) -> Dual<T, 2> {
        self.value(Dual::variable(0, x), Dual::variable(1, mean))
            .spread_nan()
    }

    /// The sum of the values of an anchor that are within the bounds.
    fn sum_of<T: Real>(self, side: &mut Side<T>, mean: T, within: Within<T>) -> KeptValues {
        vectorized(
            #[inline(always)]
            move || {
                side.sum_where(
                    #[inline(always)]
                    |value| within.holds(value),
                    #[inline(always)]
                    |x| self.at(x, mean),
                )
            },
        )
    }

    /// Adds the gradient with respect to the anchor's row of the matrix: that of each kept value, times `upstream`, and the
    /// share of each pair in the mean.
    fn add_gradient<T: Real>(
        self,
        side: &Side<T>,
        mean: T,
        within: Within<T>,
        (upstream, through_mean): (T, T),
        row: &mut [T],
    ) {
        let gradient = |x: T| {
            let pair = self.at(x, mean);
            let own = if within.holds(pair.value) {
                pair.gradient[0]
            } else {
                T::ZERO
            };
            upstream * own + through_mean
        };
        for (i, (&r, x)) in side.rows.iter().zip(&side.x).enumerate() {
            row[r as usize] += side.times(i) * gradient(*x);
        }
    }
}

impl PairSums for Deviation {
    fn values(&self, set: &PairSet, list: &Pairs) -> Result<Tensor> {
        let (anchors, others) = set.rows(list);
        let x = set.matrix.pick_entries(anchors, others)?; // [P]
        let mean = x.mean_all()?.broadcast_as(x.shape())?;
        Composite::of_all([&x, &mean], |[x, mean]| self.value(x, mean))
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
        let (this, total) = (*self, set.count() as f64);
        let (queries, references) = set.matrix.dims2()?;
        let row = move |q: usize| q * references..(q + 1) * references;
        let (pairs, over) = (set.pairs.clone(), set.over);
        let (mean, kept) = with_slice(&set.matrix, |matrix: &[T]| {
            let sums: Vec<f64> = map_rows(queries, |q, anchor: &mut Anchor<T>| {
                pairs.find(q, anchor);
                let (side, entries) = (anchor.side(over), &matrix[row(q)]);
                let terms = side.rows.iter().enumerate();
                let term = |(i, &r): (usize, &u32)| side.times(i) * entries[r as usize];
                terms.map(|pair| Real::to_f64(term(pair))).sum()
            });
            let mean = number(sums.iter().sum::<f64>() / total);
            let kept: Vec<KeptValues> = map_rows(queries, |q, anchor| {
                let side = pairs.read(q, over, &matrix[row(q)], anchor);
                this.sum_of(side, mean, within)
            });
            (mean, kept)
        })?;
        let counts = kept.iter().map(|kept| kept.count).collect();
        let sums: Vec<T> = kept.iter().map(|kept| number(kept.sum)).collect();
        let backward = move |matrix: &Tensor, _: &Tensor, upstream: &Tensor| {
            let gradient = with_slice(upstream, |upstream: &[T]| {
                with_slice(matrix, |matrix: &[T]| {
                    let in_mean = kept.iter().zip(upstream);
                    let in_mean = in_mean.map(|(kept, g)| kept.in_shared * Real::to_f64(*g));
                    // Every pair has an equal part in the mean, kept or not.
                    let through_mean = number(in_mean.sum::<f64>() / total);
                    let mut gradient = vec![<T as Real>::ZERO; queries * references];
                    for_each_row_with(&mut gradient, references, |q, out, anchor| {
                        let side = pairs.read(q, over, &matrix[row(q)], anchor);
                        this.add_gradient(side, mean, within, (upstream[q], through_mean), out);
                    });
                    gradient
                })
            })??;
            Ok(PartialGradient::dense(gradient))
        };
        let sums = autograd::of_matrix(set.name, &set.matrix, sums, queries, backward)?;
        Ok(AnchorSums { sums, counts })
    }
}
