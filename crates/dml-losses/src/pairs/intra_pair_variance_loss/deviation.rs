//! How far a pair is off the mean of its kind.

use candle_core::Tensor;
use dml_core::autograd::{self, Element, PartialGradient, with_slice};
use dml_core::kernels::sum_within::Within;
use dml_core::kernels::{Real, for_each_row, map_rows};
use dml_core::{AnchorSums, Pairs, Result, TensorExt, for_element};

use crate::machinery::expression::{Composite, Dual, Expression};
use crate::machinery::pair_formula::KeptValues;
use crate::machinery::pair_set::{PairSet, PairSums};
use crate::machinery::side::Anchor;

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

    /// The value of an entry, with its derivatives in the entry and in the mean.
    #[inline(always)]
    fn dual<T: Real>(&self, x: T, mean: T) -> Dual<T, 2> {
        Dual::at_point([x, mean], |[x, mean]| self.value(x, mean))
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
                side.sum_where(|value| within.holds(value), |x| this.dual(x, mean))
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
                    for_each_row(&mut gradient, references, |q, out| {
                        let mut anchor = Anchor::default();
                        let side = pairs.read(q, over, &matrix[row(q)], &mut anchor);
                        side.sum_where(|value| within.holds(value), |x| this.dual(x, mean));
                        for (i, (&r, own)) in side.rows.iter().zip(&side.gradients[0]).enumerate() {
                            out[r as usize] += upstream[q] * *own + side.times(i) * through_mean;
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
