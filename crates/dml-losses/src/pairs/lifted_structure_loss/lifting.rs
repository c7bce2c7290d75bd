//! The value of a positive pair out of the negatives of two anchors.

use candle_core::Tensor;
use dml_core::autograd::{self, Element, with_slice, with_slices};
use dml_core::kernels::sum_within::Within;
use dml_core::kernels::{Real, for_each_row, map_rows};
use dml_core::{AnchorSums, Over, Pairs, Result, TensorExt, for_element};

use crate::machinery::anchor_formula::anchor_values;
use crate::machinery::anchor_pairs::AnchorPairs;
use crate::machinery::expression::{Composite, Dual, Expression};
use crate::machinery::pair_set::{PairSet, PairSums};
use crate::machinery::side::Anchor;

/// The formula of a pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifting {
    pub(super) sign: f64,
    pub(super) neg_margin: f64,
    pub(super) pos_margin: f64,
    /// Whether the positive's own negatives count, too.
    pub(super) both_rows: bool,
}

impl Lifting {
    /// The exponent of a negative.
    #[inline(always)]
    fn exponent<E: Expression>(&self, x: E) -> E {
        (x - self.neg_margin) * -self.sign
    }

    /// The value of a positive pair with the entry `x`, given the logarithm of the sum of its negatives.
    #[inline(always)]
    fn value<E: Expression>(&self, x: E, negatives: E) -> E {
        let hinge = (negatives + (x - self.pos_margin) * self.sign).hinge();
        hinge.clone() * hinge / 2.0
    }

    /// The value of a pair with its derivatives in its entry and in the sums of both rows; `None` for a row without
    /// negatives.
    #[inline(always)]
    pub(super) fn dual(&self, x: f64, anchor: Option<f64>, positive: Option<f64>) -> Dual<f64, 3> {
        let point = [x, anchor.unwrap_or(0.0), positive.unwrap_or(0.0)];
        Dual::at_point(point, |[x, of_anchor, of_positive]| {
            let negatives = match (anchor, positive) {
                (None, None) => x.constant(0.0),
                (Some(_), None) => of_anchor,
                (None, Some(_)) => of_positive,
                (Some(_), Some(_)) => {
                    // The larger one is taken out, so that neither is lost in the other's rounding.
                    let ahead = of_anchor - of_positive;
                    let larger = Dual::select(ahead.is_at_least(0.0), of_anchor, of_positive);
                    larger + (-ahead.abs()).softplus()
                }
            };
            self.value(x, negatives)
        })
    }
}

/// The kept pairs of one anchor: their sum, and its derivatives by positive.
#[derive(Clone, Debug, Default)]
struct KeptPairs<T> {
    sum: f64,
    count: u64,
    /// In the anchor's own sum of negatives.
    in_anchor: f64,
    rows: Vec<u32>,
    in_entries: Vec<T>,
    in_positives: Vec<T>,
}

impl PairSums for Lifting {
    fn values(&self, set: &PairSet, list: &Pairs) -> Result<Tensor> {
        let exponents = Composite::of(&set.matrix, |x| self.exponent(x))?;
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
        Composite::of_all([&x, &sums], |[x, sums]| self.value(x, sums))
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
        let negatives = anchor_values::<T>(
            "negatives",
            &set.matrix,
            &set.pairs,
            #[inline(always)]
            |_, row, anchor| {
                let formula = *self;
                anchor.negatives.read(row);
                let (_, sum) = anchor.negatives.log_sum_exp(
                    false,
                    true,
                    #[inline(always)]
                    |x| formula.exponent(x),
                );
                sum
            },
        )?; // [Q]
        let kept = with_slices([&set.matrix, &negatives], |[matrix, negatives]| {
            self.kept_pairs(&set.pairs, matrix, negatives, within)
        })?;
        let counts = kept.iter().map(|kept| kept.count).collect();
        let sums: Vec<T> = kept.iter().map(|kept| number(kept.sum)).collect();
        let queries = sums.len();
        let sums = autograd::host_node(
            "lifted_pairs",
            [&set.matrix, &negatives],
            sums,
            queries,
            move |[matrix, _], _, upstream| {
                with_slice(upstream, |g: &[T]| spread(&kept, g, matrix.elem_count()))
            },
        )?;
        Ok(AnchorSums { sums, counts })
    }

    fn kept_pairs<T: Real>(
        &self,
        pairs: &AnchorPairs,
        matrix: &[T],
        negatives: &[T],
        within: Within<T>,
    ) -> Vec<KeptPairs<T>> {
        let references = pairs.batch().references();
        // Without negatives the sum is empty, and its logarithm −∞.
        let sum_of = |row: usize| {
            let sum = negatives[row].to_f64();
            (sum != f64::NEG_INFINITY).then_some(sum)
        };
        map_rows(negatives.len(), |q, anchor: &mut Anchor<T>| {
            let row = &matrix[q * references..(q + 1) * references];
            let side = pairs.read(q, Over::PositivePairs, row, anchor);
            let mut kept = KeptPairs::default();
            for (i, (&p, x)) in side.rows.iter().zip(&side.x).enumerate() {
                let is_another = self.both_rows && p as usize != q;
                let other = if is_another { sum_of(p as usize) } else { None };
                let pair = self.dual(x.to_f64(), sum_of(q), other);
                let weight = side.weight(i).to_f64();
                if within.holds(T::from_f64(weight * pair.value)) {
                    let times = side.times(i).to_f64();
                    kept.count += times as u64;
                    let [in_entry, in_anchor, in_positive] =
                        pair.gradient.map(|gradient| times * weight * gradient);
                    kept.sum += times * weight * pair.value;
                    kept.in_anchor += in_anchor;
                    kept.rows.push(p);
                    kept.in_entries.push(T::from_f64(in_entry));
                    kept.in_positives.push(T::from_f64(in_positive));
                }
            }
            kept
        })
    }
}

/// The gradient of the matrix and of the sums of negatives, given that of each anchor's sum.
fn spread<T: Real>(parts: &[KeptPairs<T>], gradient: &[T], entries: usize) -> [Vec<T>; 2] {
    let mut matrix = vec![T::ZERO; entries];
    let width = entries.checked_div(parts.len()).unwrap_or(0);
    for_each_row(&mut matrix, width, |q, row| {
        let part = &parts[q];
        for (&p, derivative) in part.rows.iter().zip(&part.in_entries) {
            row[p as usize] += gradient[q] * *derivative;
        }
    });
    let mut negatives: Vec<f64> = parts
        .iter()
        .zip(gradient)
        .map(|(part, g)| part.in_anchor * g.to_f64())
        .collect();
    for (part, g) in parts.iter().zip(gradient) {
        for (&p, derivative) in part.rows.iter().zip(&part.in_positives) {
            // A reference that is no anchor has gradient 0.
            if let Some(sum) = negatives.get_mut(p as usize) {
                *sum += (*g * *derivative).to_f64();
            }
        }
    }
    [matrix, negatives.into_iter().map(T::from_f64).collect()]
}
