//! Multi-similarity loss: soft hinges on an anchor's positives and negatives, each weighed against its siblings.
//!
//! ```text
//! ℓ(a) = ln(1 + Σₚ w(a,p) e^{−α (s(a,p) − base)}) / α + ln(1 + Σₙ w(a,n) e^{β (s(a,n) − base)}) / β
//! s: the similarity; for distances their negative, and so is the base        w: the weight of the pair, 1 by default
//! ```
//!
//! A row without any pair has the value 0, and a mean over all rows counts it, as in PyTorch Metric Learning. For the mean
//! over the rows that have a pair, reduce with `DivisorReducer`: their number is the divisor of the term.
//!
//! Wang, Han, Huang, Dong and Scott, "Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning" (2019,
//! arXiv:1904.06627), equation 15.
//!
//! One visit of each row: `O(N²)` time, and memory for the matrix and its gradient. Repeated pairs count once.

use crate::machinery::anchor_formula::{AnchorFormula, Needs, PairsOfKind};
use crate::pairs::pair_loss::pair_loss;

pair_loss! {
    /// Configuration of [`MultiSimilarityLoss`].
    pub struct MultiSimilarityLossConfig {
        /// How sharply the hardest positives are picked out; in `[1e-30, 1e30]`. Default `2`.
        alpha: positive = 2.0,
        /// How sharply the hardest negatives are picked out; in `[1e-30, 1e30]`. Default `50`.
        beta: positive = 50.0,
        /// The similarity that divides good pairs from bad ones, in units of the distance; in `[-1e30, 1e30]`. Default
        /// `0.5`.
        base: finite = 0.5,
    }

    /// Soft hinges on an anchor's positives and negatives ([formula](self)). One term `loss`, per row,
    /// with the number of rows that have a pair as its divisor.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_core::{Batch, Loss, Tuples};
    /// use dml_distances::LpDistance;
    /// use dml_losses::{MultiSimilarityLoss, MultiSimilarityLossConfig};
    ///
    /// let config = MultiSimilarityLossConfig { alpha: 1.0, beta: 2.0, base: 1.0 };
    /// let loss = MultiSimilarityLoss::new(config, LpDistance::unnormalized())?;
    /// let embeddings = Tensor::new(&[[0f64], [2.], [3.]], &Device::Cpu)?;
    /// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
    /// // The positives are 2 apart, 1 beyond the base: ln(1 + e). The negative is 3 away from row 0, 2 beyond the base:
    /// // ln(1 + e⁻⁴) / 2. From row 1 it is 1 away, as far as the base: ln 2 / 2. Row 2 has both as negatives.
    /// let softplus = |x: f64| x.exp().ln_1p();
    /// let want = [
    ///     softplus(1.) + softplus(-4.) / 2.,
    ///     softplus(1.) + softplus(0.) / 2.,
    ///     (1. + (-4f64).exp() + 1.).ln() / 2.,
    /// ];
    /// let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?;
    /// for (value, want) in values.iter().zip(want) {
    ///     assert!((value - want).abs() < 1e-12);
    /// }
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct MultiSimilarityLoss { pairs: distinct, reads_weights: true }

    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) unless `alpha` and `beta` are above 0 and all are
    /// finite.
    fn new();

    fn terms(config, pairs) {
        pairs.anchors(&SoftHinges {
            near: pairs.sign() * config.alpha,
            far: -pairs.sign() * config.beta,
            base: config.base,
        })
    }
}

/// `ln(1 + Σₚ e^{near (x − base)}) / |near| + ln(1 + Σₙ e^{far (x − base)}) / |far|`.
#[derive(Clone, Copy, Debug)]
struct SoftHinges {
    near: f64,
    far: f64,
    base: f64,
}

impl AnchorFormula for SoftHinges {
    const NEEDS: Needs = Needs::AnyPair;

    #[inline(always)]
    fn value<P: PairsOfKind>(&self, positives: &mut P, negatives: &mut P) -> P::Value {
        let soft_hinge = |pairs: &mut P, factor: f64| {
            pairs.log_sum_exp(
                true,
                #[inline(always)]
                |x| (x - self.base) * factor,
            ) / factor.abs()
        };
        soft_hinge(positives, self.near) + soft_hinge(negatives, self.far)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::candle_core::{Device, Var};
    use dml_core::{Batch, Error, Loss, Result, Tuples};
    use dml_distances::LpDistance;

    fn loss(alpha: f64, beta: f64, base: f64) -> Result<MultiSimilarityLoss> {
        let config = MultiSimilarityLossConfig { alpha, beta, base };
        MultiSimilarityLoss::new(config, LpDistance::unnormalized())
    }

    #[test]
    fn value_and_gradient_by_hand() -> Result<()> {
        let rows = Var::new(&[[0f64], [1.], [3.]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [0i64, 0, 1])?;
        let terms = loss(2.0, 4.0, 1.0)?.terms(&batch, &Tuples::all())?;
        let values = terms.get("loss").unwrap().values()?.0;
        // Positives are at the base: ln 2 / 2. The negatives are 2 and 1 above it.
        let half = |x: f64| (1.0 + (-4.0 * x).exp()).ln() / 4.0;
        let both = (1.0 + (-8f64).exp() + (-4f64).exp()).ln() / 4.0;
        let want = [
            2f64.ln() / 2.0 + half(2.0),
            2f64.ln() / 2.0 + half(1.0),
            both,
        ];
        for (got, want) in values.to_vec1::<f64>()?.iter().zip(want) {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
        let gradient = values.sum_all()?.backward()?;
        let gradient = gradient.get(rows.as_tensor()).unwrap().to_vec2::<f64>()?;
        // Row 2 is pushed away by the share of each negative in its sum, once from each side.
        let share = |x: f64| 1.0 / (1.0 + (4.0 * x).exp());
        let sum = 1.0 + (-8f64).exp() + (-4f64).exp();
        let want = -share(2.0) - share(1.0) - ((-8f64).exp() + (-4f64).exp()) / sum;
        assert!((gradient[2][0] - want).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn arguments_are_checked() {
        assert!(matches!(
            loss(0.0, 1.0, 0.0),
            Err(Error::InvalidParameter { name: "alpha", .. })
        ));
        assert!(matches!(
            loss(1.0, f64::INFINITY, 0.0),
            Err(Error::InvalidParameter { name: "beta", .. })
        ));
        assert!(matches!(
            loss(1.0, 1.0, f64::NAN),
            Err(Error::InvalidParameter { name: "base", .. })
        ));
    }
}
