//! How far a pair is off the mean of its kind.

use candle_core::Tensor;
use dml_core::autograd::{self, Element, PartialGradient, with_slice};
use dml_core::kernels::sum_within::Within;
use dml_core::kernels::{Real, for_each_row_with, map_rows, vectorized};
use dml_core::{AnchorSums, Pairs, Result, TensorExt, for_element};

use crate::machinery::expression::{Composite, Dual, Expression};
use crate::machinery::pair_formula::KeptValues;
use crate::machinery::pair_set::{PairSet, PairSums};
use crate::machinery::side::Side;

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

    /// The sum of the values of an anchor that are within the bounds. Its gradient with respect to the entries is left in
    /// the side.
    fn sum_of<T: Real>(self, side: &mut Side<T>, mean: T, within: Within<T>) -> KeptValues {
        vectorized(
            #[inline(always)]
            move || {
                side.sum_where(
                    #[inline(always)]
                    |value| within.holds(value),
                    #[inline(always)]
                    |x| {
                        let value = self.value(Dual::variable(0, x), Dual::variable(1, mean));
                        Dual::<T, 2>::spread_nan(value)
                    },
                )
            },
        )
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
            let sums: Vec<f64> = map_rows(queries, |q, anchor| {
                let side = pairs.read(q, over, &matrix[row(q)], anchor);
                let entries = side.x.iter().enumerate();
                entries.map(|(i, x)| Real::to_f64(side.times(i) * *x)).sum()
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
                        let (upstream, entries) = (upstream[q], &matrix[row(q)]);
                        let side = pairs.read(q, over, entries, anchor);
                        this.sum_of(side, mean, within);
                        for (i, (&r, own)) in side.rows.iter().zip(&side.gradients[0]).enumerate() {
                            out[r as usize] += upstream * *own + side.times(i) * through_mean;
                        }
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
