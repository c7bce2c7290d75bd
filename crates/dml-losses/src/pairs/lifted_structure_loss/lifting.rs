//! The value of a positive pair out of the negatives of two anchors.

use candle_core::Tensor;
use dml_core::autograd::{self, Element, with_slice};
use dml_core::kernels::{Real, for_each_row, map_rows};
use dml_core::{AnchorSums, Pairs, Result, TensorExt, for_element};

use crate::machinery::anchor_pairs::{Anchor, AnchorPairs};
use crate::machinery::anchor_values::anchor_values;
use crate::machinery::pair_values::{PairFormula, PairSet, Within};

/// The formula of a pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifting {
    pub(super) sign: f64,
    pub(super) neg_margin: f64,
    pub(super) pos_margin: f64,
    /// Whether the positive's own negatives count, too.
    pub(super) both_rows: bool,
}

/// The value of one pair with its slopes.
struct Lifted {
    value: f64,
    in_entry: f64,
    in_anchor: f64,
    in_positive: f64,
}

impl Lifting {
    /// `x`: the entry of the pair; `anchor` and `positive`: the logarithms of the sums of their negatives, −∞ for none.
    fn value(&self, x: f64, anchor: f64, positive: f64) -> Lifted {
        // The comparisons here and below are written so that NaN comes through.
        let top = if positive > anchor { positive } else { anchor };
        let (share, sum) = if anchor == f64::NEG_INFINITY && positive == f64::NEG_INFINITY {
            (0.0, 0.0)
        } else {
            let sum = top + ((anchor - top).exp() + (positive - top).exp()).ln();
            ((anchor - sum).exp(), sum)
        };
        let violation = sum + self.sign * (x - self.pos_margin);
        let hinge = if violation <= 0.0 { 0.0 } else { violation };
        Lifted {
            value: hinge * hinge / 2.0,
            in_entry: hinge * self.sign,
            in_anchor: hinge * share,
            in_positive: if positive == f64::NEG_INFINITY {
                0.0
            } else {
                hinge * (positive - sum).exp()
            },
        }
    }
}

/// The kept pairs of one anchor: their sum, and the slopes by positive.
#[derive(Clone, Debug, Default)]
struct AnchorPart<T> {
    sum: f64,
    count: u64,
    /// The slope in the anchor's own sum of negatives.
    in_anchor: f64,
    rows: Vec<u32>,
    in_entries: Vec<T>,
    in_positives: Vec<T>,
}

impl PairFormula for Lifting {
    fn values(&self, set: &PairSet, list: &Pairs) -> Result<Tensor> {
        let exponents = set.matrix.affine(-self.sign, self.sign * self.neg_margin)?;
        let (sums, any) = set.pairs.negative_log_sum_exp(&exponents)?; // [Q]
        let rows = |rows: &[u32]| Tensor::new(rows, set.matrix.device());
        let anchors = rows(&list.positive_anchors)?;
        let sums = if self.both_rows {
            let positives = rows(&list.positives)?;
            let others = anchors.ne(&positives)?;
            let of = |rows: &Tensor| -> Result<_> {
                Ok((sums.index_select(rows, 0)?, any.index_select(rows, 0)?))
            };
            let ((own, any_own), (other, any_other)) = (of(&anchors)?, of(&positives)?);
            let both = Tensor::stack(&[own, other], 1)?; // [P, 2]
            let any = Tensor::stack(&[any_own, (any_other * others)?], 1)?;
            both.masked_logsumexp(Some(&any), false)?
        } else {
            sums.index_select(&anchors, 0)?
        }; // [P]
        let x = set
            .matrix
            .pick_entries(&list.positive_anchors, &list.positives)?; // [P]
        let hinge = (sums + ((x - self.pos_margin)? * self.sign)?)?.hinge()?;
        Ok((hinge.sqr()? / 2.0)?)
    }

    fn sums(&self, set: &PairSet, low: Option<f64>, high: Option<f64>) -> Result<AnchorSums> {
        for_element!(set.matrix, "matrix", |T| {
            self.sums_of::<T>(set, Within::new(low, high))
        })
    }
}

impl Lifting {
    fn sums_of<T: Element>(&self, set: &PairSet, within: Within<T>) -> Result<AnchorSums> {
        let number = |x: f64| <T as Real>::from_f64(x);
        let (sign, margin) = (number(self.sign), number(self.neg_margin));
        let negatives = anchor_values::<T>("negatives", &set.matrix, &set.pairs, |_, _, far| {
            let sum = far.log_sum_exp(false, |x| sign * (margin - x));
            far.scale(|_| -sign);
            sum
        })?; // [Q]
        let parts = with_slice(&set.matrix, |matrix: &[T]| {
            with_slice(&negatives, |negatives: &[T]| {
                self.parts(&set.pairs, matrix, negatives, within)
            })
        })??;
        let counts = parts.iter().map(|part| part.count).collect();
        let sums: Vec<T> = parts.iter().map(|part| number(part.sum)).collect();
        let queries = sums.len();
        let sums = autograd::binary(
            "lifted_pairs",
            &set.matrix,
            &negatives,
            sums,
            queries,
            move |matrix, negatives, _, gradient| {
                let (matrix_slopes, negative_slopes) =
                    with_slice(gradient, |g: &[T]| spread(&parts, g, matrix.elem_count()))?;
                let tensor =
                    |slopes, like: &Tensor| Tensor::from_vec(slopes, like.shape(), like.device());
                Ok((
                    tensor(matrix_slopes, matrix)?,
                    tensor(negative_slopes, negatives)?,
                ))
            },
        )?;
        Ok(AnchorSums { sums, counts })
    }

    fn parts<T: Real>(
        &self,
        pairs: &AnchorPairs,
        matrix: &[T],
        negatives: &[T],
        within: Within<T>,
    ) -> Vec<AnchorPart<T>> {
        let references = pairs.batch().references();
        map_rows(negatives.len(), |q, anchor: &mut Anchor<T>| {
            pairs.of(q, &mut anchor.positives, &mut anchor.negatives);
            let side = &anchor.positives;
            let mut part = AnchorPart::default();
            for (i, &p) in side.rows.iter().enumerate() {
                let other = if self.both_rows && p as usize != q {
                    negatives[p as usize].to_f64()
                } else {
                    f64::NEG_INFINITY
                };
                let x = matrix[q * references + p as usize].to_f64();
                let pair = self.value(x, negatives[q].to_f64(), other);
                let weight = side.weight(i).to_f64();
                if within.keeps(T::from_f64(weight * pair.value)) {
                    let times = side.times(i).to_f64();
                    part.count += times as u64;
                    let times = times * weight;
                    part.sum += times * pair.value;
                    part.in_anchor += times * pair.in_anchor;
                    part.rows.push(p);
                    part.in_entries.push(T::from_f64(times * pair.in_entry));
                    part.in_positives
                        .push(T::from_f64(times * pair.in_positive));
                }
            }
            part
        })
    }
}

/// The gradient of the matrix and of the sums of negatives, given that of each anchor's sum.
fn spread<T: Real>(parts: &[AnchorPart<T>], gradient: &[T], entries: usize) -> (Vec<T>, Vec<T>) {
    let mut matrix = vec![T::ZERO; entries];
    let width = entries.checked_div(parts.len()).unwrap_or(0);
    for_each_row(&mut matrix, width, |q, row| {
        let part = &parts[q];
        for (&p, slope) in part.rows.iter().zip(&part.in_entries) {
            row[p as usize] += gradient[q] * *slope;
        }
    });
    let mut negatives: Vec<f64> = parts
        .iter()
        .zip(gradient)
        .map(|(part, g)| part.in_anchor * g.to_f64())
        .collect();
    for (part, g) in parts.iter().zip(gradient) {
        for (&p, slope) in part.rows.iter().zip(&part.in_positives) {
            // A reference that is no anchor has slope 0.
            if let Some(sum) = negatives.get_mut(p as usize) {
                *sum += (*g * *slope).to_f64();
            }
        }
    }
    (matrix, negatives.into_iter().map(T::from_f64).collect())
}
