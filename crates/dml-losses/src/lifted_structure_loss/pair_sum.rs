//! The values of positive pairs, each of the negatives of two anchors: summed anchor by anchor, or written out.

use std::sync::Arc;

use candle_core::Tensor;
use dml_core::fused::{self, Element, has_kernel, with_slice};
use dml_core::kernels::{Real, for_each_row, map_rows};
use dml_core::{
    AnchorSums, ImplicitValues, Indices, Over, PartialSum, Result, TensorExt, Term, Tuples,
    for_element,
};

use crate::anchor_pairs::{AnchorPairs, Side};
use crate::anchor_values::anchor_values;
use crate::pair_values::Within;

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
        let top = anchor.max(positive);
        let (share, sum) = if top == f64::NEG_INFINITY {
            (0.0, 0.0)
        } else {
            let sum = top + ((anchor - top).exp() + (positive - top).exp()).ln();
            ((anchor - sum).exp(), sum)
        };
        let hinge = (sum + self.sign * (x - self.pos_margin)).max(0.0);
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

/// The values over the positive pairs of a batch.
#[derive(Clone, Debug)]
pub(super) struct LiftedPairs {
    pub(super) lifting: Lifting,
    /// Distances `[Q, R]`.
    pub(super) matrix: Tensor,
    pub(super) pairs: AnchorPairs,
    pub(super) tuples: Tuples,
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

/// The pairs of an anchor, in memory that is used again.
#[derive(Debug, Default)]
struct Scratch<T> {
    positives: Side<T>,
    negatives: Side<T>,
}

impl LiftedPairs {
    /// The values as a term: not written out where a kernel can sum them.
    pub(super) fn term(self) -> Result<Term> {
        if has_kernel(&self.matrix) {
            return Ok(Term::implicit("loss", Over::PositivePairs, Arc::new(self)));
        }
        let (values, indices) = self.expand()?;
        Term::explicit("loss", Over::PositivePairs, values, indices)
    }

    /// The sum of each anchor `[Q]`, and how many values it is of.
    fn sums(&self, low: Option<f64>, high: Option<f64>) -> Result<(Tensor, Vec<u64>)> {
        for_element!(self.matrix, "matrix", |T| self.sums_of::<T>(low, high))
    }

    fn sums_of<T: Element>(
        &self,
        low: Option<f64>,
        high: Option<f64>,
    ) -> Result<(Tensor, Vec<u64>)> {
        let number = |x: f64| <T as Real>::from_f64(x);
        let (sign, margin) = (number(self.lifting.sign), number(self.lifting.neg_margin));
        let negatives = anchor_values::<T>("negatives", &self.matrix, &self.pairs, |_, _, far| {
            let sum = far.log_sum_exp(false, |x| sign * (margin - x));
            far.scale(|_| -sign);
            sum
        })?; // [Q]
        let within = Within::new(low, high);
        let parts = with_slice(&self.matrix, |matrix: &[T]| {
            with_slice(&negatives, |negatives: &[T]| {
                self.parts(matrix, negatives, within)
            })
        })??;
        let counts = parts.iter().map(|part| part.count).collect();
        let sums: Vec<T> = parts.iter().map(|part| number(part.sum)).collect();
        let queries = sums.len();
        let sums = fused::binary(
            "lifted_pairs",
            &self.matrix,
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
        Ok((sums, counts))
    }

    fn parts<T: Real>(
        &self,
        matrix: &[T],
        negatives: &[T],
        within: Within<T>,
    ) -> Vec<AnchorPart<T>> {
        let references = self.pairs.batch().references();
        map_rows(negatives.len(), |q, scratch: &mut Scratch<T>| {
            self.pairs
                .of(q, &mut scratch.positives, &mut scratch.negatives);
            let side = &scratch.positives;
            let mut part = AnchorPart::default();
            for (i, &p) in side.rows.iter().enumerate() {
                let other = if self.lifting.both_rows && p as usize != q {
                    negatives[p as usize].to_f64()
                } else {
                    f64::NEG_INFINITY
                };
                let x = matrix[q * references + p as usize].to_f64();
                let pair = self.lifting.value(x, negatives[q].to_f64(), other);
                if within.keeps(T::from_f64(pair.value)) {
                    let times = side.times(i).to_f64();
                    part.sum += times * pair.value;
                    part.count += times as u64;
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

impl ImplicitValues for LiftedPairs {
    fn count(&self) -> u64 {
        self.pairs.counts().0
    }

    fn sum_within(&self, low: Option<f64>, high: Option<f64>) -> Result<PartialSum> {
        let (sums, counts) = self.sums(low, high)?;
        Ok(PartialSum {
            sum: sums.sum_all()?,
            count: counts.iter().sum(),
        })
    }

    fn expand(&self) -> Result<(Tensor, Indices)> {
        let list = self.tuples.pairs(self.pairs.batch())?;
        let Lifting {
            sign,
            neg_margin,
            pos_margin,
            both_rows,
        } = self.lifting;
        let exponents = self.matrix.affine(-sign, sign * neg_margin)?;
        let (sums, any) = self.pairs.negative_log_sum_exp(&exponents)?; // [Q]
        let rows = |rows: &[u32]| Tensor::new(rows, self.matrix.device());
        let anchors = rows(&list.positive_anchors)?;
        let sums = if both_rows {
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
        let x = self.matrix.pick(&list.positive_anchors, &list.positives)?; // [P]
        let hinge = (sums + ((x - pos_margin)? * sign)?)?.hinge()?;
        let indices = Indices::Pairs {
            anchors: list.positive_anchors.clone(),
            others: list.positives.clone(),
        };
        Ok(((hinge.sqr()? / 2.0)?, indices))
    }

    fn sums_by_anchor(&self, anchors: usize) -> Result<AnchorSums> {
        let (sums, counts) = self.sums(None, None)?;
        if anchors != counts.len() {
            let (values, indices) = self.expand()?;
            return AnchorSums::new(&values, indices.anchors(), anchors);
        }
        Ok(AnchorSums { sums, counts })
    }
}
