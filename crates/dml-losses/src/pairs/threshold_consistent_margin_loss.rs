//! Threshold-consistent margin: one pair of thresholds for all classes, and a cost for pairs on the wrong side of theirs.
//!
//! ```text
//! λ₊ · mean over positive pairs with s ≤ margin_plus of (margin_plus − s)
//! + λ₋ · mean over negative pairs with s ≥ margin_minus of (s − margin_minus)        s: the cosine
//! ```
//!
//! The cosine is the Euclidean one, whatever exponents the distance has. A mean
//! over no pair is 0. Zhang et al., "Threshold-Consistent Margin Loss for Open-World Deep Metric Learning" (2023,
//! arXiv:2307.04047). It is meant to be added to another loss.
//!
//! With a reference set pairs are of a query and a reference. (PyTorch Metric Learning takes the row numbers of the
//! references for rows of the batch.) Pairs that come as a set are summed without being written out: `O(N²)` time, and
//! memory for the matrix and its gradient.

use candle_core::{DType, Tensor};
use dml_core::autograd::has_kernel;
use dml_core::kernels::Real;
use dml_core::{
    Batch, Distance, Loss, Over, PartialSum, Result, TensorExt, Term, Terms, Tuples, check,
    for_element,
};

use crate::machinery::anchor_pairs::AnchorPairs;
use crate::machinery::expression::Expression;
use crate::machinery::pair_formula::{PairFormula, sums_where};
use crate::machinery::pair_set::{PairSet, PairSums};
use crate::machinery::requirements;

dml_core::config! {
    /// Configuration of [`ThresholdConsistentMarginLoss`].
    pub struct ThresholdConsistentMarginLossConfig {
        /// What the part of the positives is multiplied by; in `[-1e30, 1e30]`. Default `1`.
        pub lambda_plus: f64 = 1.0,
        /// What the part of the negatives is multiplied by; in `[-1e30, 1e30]`. Default `1`.
        pub lambda_minus: f64 = 1.0,
        /// The cosine that positives should exceed; in `[-1e30, 1e30]`. Default `0.9`.
        pub margin_plus: f64 = 0.9,
        /// The cosine that negatives should stay below; in `[-1e30, 1e30]`. Default `0.5`.
        pub margin_minus: f64 = 0.5,
    }
}

/// Mean excess of pairs on the wrong side of their threshold ([formula](self)). One term `loss`, a scalar already.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::CosineSimilarity;
/// use dml_losses::{ThresholdConsistentMarginLoss, ThresholdConsistentMarginLossConfig};
///
/// let config = ThresholdConsistentMarginLossConfig {
///     lambda_plus: 1.0,
///     lambda_minus: 2.0,
///     margin_plus: 0.8,
///     margin_minus: 0.5,
/// };
/// let loss = ThresholdConsistentMarginLoss::new(config, CosineSimilarity::default())?;
/// let embeddings = Tensor::new(&[[1f64, 0.], [0.6, 0.8], [0., 1.]], &Device::Cpu)?;
/// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
/// // The positives have cosine 0.6. Of the negatives, with 0 and 0.8, only the second is above its threshold.
/// let want = 1. * (0.8 - 0.6) + 2. * (0.8 - 0.5);
/// let value = terms.get("loss").unwrap().sum_within(None, None)?.sum.to_scalar::<f64>()?;
/// assert!((value - want).abs() < 1e-12);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ThresholdConsistentMarginLoss {
    config: ThresholdConsistentMarginLossConfig,
}

impl ThresholdConsistentMarginLoss {
    /// A loss over cosines. `distance` is asked for its kind alone.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if a number is not finite,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) for a distance that is no cosine.
    pub fn new(
        config: ThresholdConsistentMarginLossConfig,
        distance: impl Distance + 'static,
    ) -> Result<Self> {
        requirements::cosine(
            "ThresholdConsistentMarginLoss",
            &distance,
            "its thresholds are cosines: it needs CosineSimilarity as the distance",
        )?;
        check::finite("lambda_plus", config.lambda_plus)?;
        check::finite("lambda_minus", config.lambda_minus)?;
        check::finite("margin_plus", config.margin_plus)?;
        check::finite("margin_minus", config.margin_minus)?;
        Ok(Self { config })
    }
}

impl Loss for ThresholdConsistentMarginLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        requirements::check(self, "ThresholdConsistentMarginLoss", batch, tuples)?;
        if let Some(terms) = batch.spoiled(tuples)? {
            return Ok(terms);
        }
        let pairs = AnchorPairs::listed(self, "ThresholdConsistentMarginLoss", batch, tuples)?;
        if pairs.counts() == (0, 0) {
            return Ok(Term::empty("loss").into());
        }
        let matrix = cosines(batch)?; // [Q, R]
        let mean = |over, sign, margin, weight: f64| -> Result<Tensor> {
            let set = PairSet {
                name: "loss",
                over,
                matrix: matrix.clone(),
                pairs: pairs.clone(),
                tuples: tuples.clone(),
            };
            let excess = Excess { sign, margin }.sum(&set)?;
            Ok((excess.sum * (weight / excess.count.max(1) as f64))?)
        };
        let ThresholdConsistentMarginLossConfig {
            lambda_plus,
            lambda_minus,
            margin_plus,
            margin_minus,
        } = self.config;
        let positive = mean(Over::PositivePairs, -1.0, margin_plus, lambda_plus)?;
        let negative = mean(Over::NegativePairs, 1.0, margin_minus, lambda_minus)?;
        Ok(Term::scalar("loss", (positive + negative)?)?.into())
    }
}

/// Cosines of queries and references `[Q, R]`.
fn cosines(batch: &Batch) -> Result<Tensor> {
    let queries = batch.embeddings().normalize_rows(2.0)?;
    match batch.reference() {
        None => queries.pairwise_dot(&queries),
        Some(reference) => queries.pairwise_dot(&reference.normalize_rows(2.0)?),
    }
}

/// `sign · (x − margin)`.
#[derive(Clone, Copy, Debug)]
struct Excess {
    sign: f64,
    margin: f64,
}

impl PairFormula for Excess {
    #[inline(always)]
    fn value<E: Expression>(&self, x: E, _: E) -> E {
        (x - self.margin) * self.sign
    }
}

impl Excess {
    /// Sum and number of the values of a set that are 0 or more.
    fn sum(&self, set: &PairSet) -> Result<PartialSum> {
        if has_kernel(&set.matrix) {
            let sums = for_element!(set.matrix, "matrix", |T| {
                sums_where(
                    self,
                    set,
                    #[inline(always)]
                    |value: T| value >= T::ZERO || value.is_nan(),
                )
            })?;
            return Ok(PartialSum {
                sum: sums.sums.sum_all()?,
                count: sums.counts.iter().sum(),
            });
        }
        let list = set.tuples.pairs(set.pairs.batch())?;
        if set.rows(&list).0.is_empty() {
            let sum = set.matrix.attached_zero()?;
            return Ok(PartialSum { sum, count: 0 });
        }
        let values = self.values(set, &list)?; // [P]
        // What is not reached is named, so that NaN counts.
        let reached = values.lt(0.0)?.eq(0u8)?.to_dtype(values.dtype())?;
        let count = reached.to_dtype(DType::U32)?.sum_all()?;
        Ok(PartialSum {
            sum: (values * reached)?.sum_all()?,
            count: u64::from(count.to_scalar::<u32>()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;
    use dml_core::autograd::without_kernels;
    use dml_core::candle_core::{Device, Var};
    use dml_distances::{CosineSimilarity, LpDistance};

    fn loss(config: ThresholdConsistentMarginLossConfig) -> Result<ThresholdConsistentMarginLoss> {
        ThresholdConsistentMarginLoss::new(config, CosineSimilarity::default())
    }

    fn value(batch: &Batch, config: ThresholdConsistentMarginLossConfig) -> Result<Tensor> {
        let terms = loss(config)?.terms(batch, &Tuples::all())?;
        Ok(terms.get("loss").unwrap().values()?.0.sum_all()?)
    }

    #[test]
    fn by_hand() -> Result<()> {
        let rows = Var::new(&[[1f64, 0.], [0.8, 0.6], [0., 1.], [1., 0.]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [0i64, 0, 1, 0])?;
        let config = ThresholdConsistentMarginLossConfig {
            lambda_plus: 2.0,
            lambda_minus: 10.0,
            margin_plus: 0.9,
            margin_minus: 0.4,
        };
        // Positive pairs have cosine 0.8 four times and 1 twice, negative ones 0.6 twice and 0 four times.
        let want = 2.0 * (0.9 - 0.8) + 10.0 * (0.6 - 0.4);
        let fused = value(&batch, config.clone())?;
        let composite = without_kernels(|| value(&batch, config))?;
        let gradient = |value: &Tensor| -> Result<Vec<f64>> {
            let store = value.backward()?;
            Ok(store
                .get(rows.as_tensor())
                .unwrap()
                .flatten_all()?
                .to_vec1()?)
        };
        for value in [&fused, &composite] {
            assert!((value.to_scalar::<f64>()? - want).abs() < 1e-12);
        }
        for (a, b) in gradient(&fused)?.iter().zip(gradient(&composite)?) {
            assert!((a - b).abs() < 1e-12);
        }
        Ok(())
    }

    #[test]
    fn references_are_what_queries_are_compared_with() -> Result<()> {
        // PyTorch Metric Learning compares queries 0 and 1 with queries 1 and 0 here, and fails for a third reference.
        let rows = Var::new(&[[1f64, 0.], [0., 1.]], &Device::Cpu)?;
        let reference = Tensor::new(&[[0.6f64, 0.8], [0.8, 0.6], [1., 0.]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [0i64, 1])?.with_reference(&reference, [1i64, 0, 2])?;
        // Both positives have 0.8, negatives 0.6 twice, 1 and 0.
        let got = value(&batch, Default::default())?.to_scalar::<f64>()?;
        assert!((got - 0.1 - 0.7 / 3.0).abs() < 1e-12, "{got}");
        Ok(())
    }

    #[test]
    fn nothing_on_the_wrong_side_is_zero_with_a_gradient() -> Result<()> {
        let rows = Var::new(&[[1f64, 0.], [1., 0.], [0., 1.]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [0i64, 0, 1])?;
        for value in [
            value(&batch, Default::default())?,
            without_kernels(|| value(&batch, Default::default()))?,
        ] {
            assert!(value.to_scalar::<f64>()?.abs() < 1e-15);
            assert!(value.backward()?.get(rows.as_tensor()).is_some());
        }
        Ok(())
    }

    #[test]
    fn errors_name_their_cause() {
        let config = ThresholdConsistentMarginLossConfig::default();
        assert!(matches!(
            ThresholdConsistentMarginLoss::new(config, LpDistance::default()),
            Err(Error::Unsupported { .. })
        ));
        let config = ThresholdConsistentMarginLossConfig {
            margin_plus: f64::NAN,
            ..Default::default()
        };
        assert!(matches!(
            loss(config),
            Err(Error::InvalidParameter {
                name: "margin_plus",
                ..
            })
        ));
    }
}
