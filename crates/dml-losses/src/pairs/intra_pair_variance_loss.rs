//! Intra-pair variance loss: pairs of one kind should be about as close as their mean.
//!
//! ```text
//! pos_loss(a,p) = max(0, h(a,p) − (1 + pos_eps) μ₊)²        μ₊: the mean of h over all positive pairs
//! neg_loss(a,n) = max(0, (1 − neg_eps) μ₋ − h(a,n))²        μ₋: over all negative pairs        h: the distance
//! ```
//!
//! For similarities: `max(0, (1 − pos_eps) μ₊ − s)²` and `max(0, s − (1 + neg_eps) μ₋)²`. The gradient flows through the
//! means, too. Yu and Tao, "Deep Metric Learning with Tuplet Margin Loss" (ICCV 2019), section 3.3.
//!
//! Pairs that come as a set are summed without being written out: two visits of each row, `O(N²)` time, and memory for the
//! matrix alone.

mod deviation;

use crate::pairs::pair_loss::pair_loss;
use deviation::Deviation;

pair_loss! {
    /// Configuration of [`IntraPairVarianceLoss`].
    pub struct IntraPairVarianceLossConfig {
        /// How far a positive pair may be beyond the mean of its kind, as a part of that mean; in `[-1e30, 1e30]`. Default
        /// `0.01`.
        pos_eps: finite = 0.01,
        /// How far a negative pair may be short of the mean of its kind, as a part of that mean; in `[-1e30, 1e30]`.
        /// Default `0.01`.
        neg_eps: finite = 0.01,
    }

    /// Squared hinges about the mean of each kind of pairs ([formula](self)). Terms `pos_loss` per positive pair and
    /// `neg_loss` per negative pair.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_core::{Batch, Loss, Tuples};
    /// use dml_distances::LpDistance;
    /// use dml_losses::{IntraPairVarianceLoss, IntraPairVarianceLossConfig};
    ///
    /// let config = IntraPairVarianceLossConfig { pos_eps: 0.25, neg_eps: 0.25 };
    /// let loss = IntraPairVarianceLoss::new(config, LpDistance::unnormalized())?;
    /// let embeddings = Tensor::new(&[[0f64], [1.], [4.], [7.]], &Device::Cpu)?;
    /// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1, 1])?, &Tuples::all())?;
    /// // The positives are 1 and 3 apart, 2 in the mean: up to 1.25 · 2 costs nothing, and 3 is 0.5 beyond.
    /// let positives = terms.get("pos_loss").unwrap().values()?.0.to_vec1::<f64>()?;
    /// assert_eq!(positives, [0., 0., 0.25, 0.25]);
    /// // The negatives are 4, 7, 3 and 6 apart, 5 in the mean: down to 0.75 · 5 costs nothing, and 3 is 0.75 short.
    /// let negatives = terms.get("neg_loss").unwrap().values()?.0.to_vec1::<f64>()?;
    /// assert_eq!(negatives, [0., 0., 0.5625, 0., 0., 0.5625, 0., 0.]);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct IntraPairVarianceLoss { pairs: listed, reads_weights: false }

    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if a tolerance is not finite.
    fn new();

    fn terms(config, pairs) {
        // Positives must not exceed their mean and negatives not fall short of it; similarities the other way round.
        let deviation = |sign: f64, eps| Deviation { sign, factor: 1.0 + sign * eps };
        let sign = pairs.sign();
        pairs.both_kinds(deviation(sign, config.pos_eps), deviation(-sign, config.neg_eps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::candle_core::{Device, Tensor, Var};
    use dml_core::{Batch, Error, Loss, Pairs, Result, Tuples};
    use dml_distances::{DotProductSimilarity, DotProductSimilarityConfig, LpDistance};

    fn loss(pos_eps: f64, neg_eps: f64) -> Result<IntraPairVarianceLoss> {
        let config = IntraPairVarianceLossConfig { pos_eps, neg_eps };
        IntraPairVarianceLoss::new(config, LpDistance::unnormalized())
    }

    #[test]
    fn value_and_gradient_by_hand() -> Result<()> {
        let rows = Var::new(&[[0f64], [1.], [3.]], &Device::Cpu)?;
        let batch = Batch::unlabeled(&rows)?;
        // Distances 1, 3 and 3: mean 7/3, tolerated up to 2.45; both 3s are 0.55 beyond.
        let pairs = Pairs::new(vec![0, 0, 2], vec![1, 2, 0], vec![1, 0], vec![2, 1])?;
        let terms = loss(0.05, 0.25)?.terms(&batch, &pairs.into())?;
        let near = terms.get("pos_loss").unwrap();
        let summed = near.sum_within(None, None)?.sum;
        let written = near.values()?.0.sum_all()?;
        // Each of the two has gradient 2 · 0.55 in its own entry, less 1.05/3 of all that in every entry.
        let own = 1.1 - 2.2 * 0.35;
        let mean = -2.2 * 0.35;
        for sum in [summed, written] {
            assert!((sum.to_scalar::<f64>()? - 2.0 * 0.55f64.powi(2)).abs() < 1e-12);
            let gradient = sum.backward()?;
            let gradient = gradient.get(rows.as_tensor()).unwrap().to_vec2::<f64>()?;
            let want = [-2.0 * own - mean, mean, 2.0 * own];
            for (got, want) in gradient.iter().flatten().zip(want) {
                assert!((got - want).abs() < 1e-12, "{got} {want}");
            }
        }
        // Distances 2 and 1: mean 1.5, tolerated down to 1.125.
        let far = terms.get("neg_loss").unwrap();
        let kept = far.sum_within(Some(0.0), None)?;
        assert!((kept.sum.to_scalar::<f64>()? - 0.125f64.powi(2)).abs() < 1e-12);
        assert_eq!((kept.count, far.count()), (1, 2));
        Ok(())
    }

    #[test]
    fn anchors_share_the_mean() -> Result<()> {
        let rows = Var::new(&[[0f64], [1.], [3.], [7.]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [0i64, 0, 0, 1])?;
        let terms = loss(0.1, 0.1)?.terms(&batch, &Tuples::all())?;
        let weights = Tensor::new(&[1f64, 2., 3., 4.], &Device::Cpu)?;
        for name in ["pos_loss", "neg_loss"] {
            let term = terms.get(name).unwrap();
            let by_anchor = term.sums_by_anchor(4)?;
            let (values, indices) = term.values()?;
            let written = dml_core::AnchorSums::new(&values, indices.anchors(), 4)?;
            assert_eq!(by_anchor.counts, written.counts);
            let gradient = |sums: &Tensor| -> Result<Vec<f64>> {
                let store = (sums * &weights)?.sum_all()?.backward()?;
                Ok(store
                    .get(rows.as_tensor())
                    .unwrap()
                    .flatten_all()?
                    .to_vec1()?)
            };
            let (got, want) = (gradient(&by_anchor.sums)?, gradient(&written.sums)?);
            for (got, want) in got.iter().zip(want) {
                assert!((got - want).abs() < 1e-12, "{name}: {got} {want}");
            }
        }
        Ok(())
    }

    #[test]
    fn similarities_turn_round() -> Result<()> {
        let raw = DotProductSimilarityConfig {
            normalize_embeddings: false,
            ..Default::default()
        };
        let dot = DotProductSimilarity::new(raw)?;
        let config = IntraPairVarianceLossConfig {
            pos_eps: 0.5,
            neg_eps: 0.5,
        };
        let loss = IntraPairVarianceLoss::new(config, dot)?;
        let rows = Var::new(&[[1f64], [2.], [6.]], &Device::Cpu)?;
        let batch = Batch::unlabeled(&rows)?;
        // Products 2 and 12, mean 7, for both kinds.
        let pairs = Pairs::new(vec![0, 1], vec![1, 2], vec![0, 1], vec![1, 2])?;
        let terms = loss.terms(&batch, &pairs.into())?;
        let list = |name: &str| -> Result<Vec<f64>> {
            Ok(terms.get(name).unwrap().values()?.0.to_vec1()?)
        };
        assert_eq!(list("pos_loss")?, [1.5 * 1.5, 0.0]);
        assert_eq!(list("neg_loss")?, [0.0, 1.5 * 1.5]);
        Ok(())
    }

    #[test]
    fn tolerances_are_finite() {
        assert!(matches!(
            loss(f64::NAN, 0.0),
            Err(Error::InvalidParameter {
                name: "pos_eps",
                ..
            })
        ));
    }
}
