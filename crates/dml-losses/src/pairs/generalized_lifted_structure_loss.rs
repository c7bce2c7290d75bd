//! Generalised lifted structure loss: all positives of an anchor against all its negatives.
//!
//! ```text
//! ℓ(a) = max(0, ln Σₚ w(a,p) e^{h(a,p) − pos_margin} + ln Σₙ w(a,n) e^{neg_margin − h(a,n)})
//! h: the distance        w: the weight of the pair, 1 by default
//! ```
//!
//! For similarities both exponents change their sign. The logarithm of a sum over no pair counts 0. A row without any pair
//! has the value 0, and a mean over all rows counts it, as in PyTorch Metric Learning. For the mean over the rows that have
//! a pair, reduce with `DivisorReducer`: their number is the divisor of the term.
//! Hermans, Beyer and Leibe, "In
//! Defense of the Triplet Loss for Person Re-Identification" (2017, arXiv:1703.07737), page 4.
//!
//! One visit of each row: `O(N²)` time, and memory for the matrix and its gradient. Repeated pairs count once.

use crate::machinery::anchor_formula::{AnchorFormula, Needs, PairsOfKind};
use crate::machinery::expression::Expression;
use crate::pairs::pair_loss::pair_loss;

pair_loss! {
    /// Configuration of [`GeneralizedLiftedStructureLoss`].
    pub struct GeneralizedLiftedStructureLossConfig {
        /// How far negatives should be, in units of the distance; in `[-1e30, 1e30]`. Default `1`.
        neg_margin: finite = 1.0,
        /// How close positives should be, in units of the distance; in `[-1e30, 1e30]`. Default `0`.
        pos_margin: finite = 0.0,
    }

    /// Hinge on soft maxima of an anchor's pairs ([formula](self)). One term `loss`, per row, with
    /// the number of rows that have a pair as its divisor.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_core::{Batch, Loss, Tuples};
    /// use dml_distances::LpDistance;
    /// use dml_losses::{GeneralizedLiftedStructureLoss, GeneralizedLiftedStructureLossConfig};
    ///
    /// let config = GeneralizedLiftedStructureLossConfig { neg_margin: 3.0, pos_margin: 0.0 };
    /// let loss = GeneralizedLiftedStructureLoss::new(config, LpDistance::unnormalized())?;
    /// let embeddings = Tensor::new(&[[0f64], [1.], [3.]], &Device::Cpu)?;
    /// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
    /// // Row 0: 1 + (3 − 3). Row 1: 1 + (3 − 2). Row 2 has no positive: ln(e^{3 − 3} + e^{3 − 2}).
    /// let want = [1., 2., 1f64.exp().ln_1p()];
    /// let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?;
    /// for (value, want) in values.iter().zip(want) {
    ///     assert!((value - want).abs() < 1e-12);
    /// }
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct GeneralizedLiftedStructureLoss { pairs: distinct, reads_weights: true }

    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if a margin is not finite.
    fn new();

    fn terms(config, pairs) {
        pairs.anchors(&Lifted {
            sign: pairs.sign(),
            neg_margin: config.neg_margin,
            pos_margin: config.pos_margin,
        })
    }
}

/// `max(0, ln Σₚ e^{sign (x − pos_margin)} + ln Σₙ e^{sign (neg_margin − x)})`.
#[derive(Clone, Copy, Debug)]
struct Lifted {
    sign: f64,
    neg_margin: f64,
    pos_margin: f64,
}

impl AnchorFormula for Lifted {
    const NEEDS: Needs = Needs::AnyPair;

    #[inline(always)]
    fn value<P: PairsOfKind>(&self, positives: &mut P, negatives: &mut P) -> P::Value {
        let near = positives.log_sum_exp(
            false,
            #[inline(always)]
            |x| (x - self.pos_margin) * self.sign,
        );
        let far = negatives.log_sum_exp(
            false,
            #[inline(always)]
            |x| (x - self.neg_margin) * -self.sign,
        );
        (near + far).hinge()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::candle_core::{Device, Var};
    use dml_core::{Batch, Error, Loss, Result, Tuples};
    use dml_distances::LpDistance;

    fn loss(neg_margin: f64, pos_margin: f64) -> Result<GeneralizedLiftedStructureLoss> {
        let config = GeneralizedLiftedStructureLossConfig {
            neg_margin,
            pos_margin,
        };
        GeneralizedLiftedStructureLoss::new(config, LpDistance::unnormalized())
    }

    #[test]
    fn value_and_gradient_by_hand() -> Result<()> {
        let rows = Var::new(&[[0f64], [2.], [-1.], [-1.]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [0i64, 0, 1, 2])?;
        let terms = loss(1.5, 0.5)?.terms(&batch, &Tuples::all())?;
        let values = terms.get("loss").unwrap().values()?.0;
        let got = values.to_vec1::<f64>()?;
        // Row 0: (2 − 0.5) + ln(2 e^{1.5 − 1}); row 1: (2 − 0.5) + ln(2 e^{1.5 − 3}).
        let ln_2 = 2f64.ln();
        assert!((got[0] - (2.0 + ln_2)).abs() < 1e-12 && (got[1] - ln_2).abs() < 1e-12);
        // Row 2 has no positive: ln(e^{0.5} + e^{−1.5} + e^{1.5}).
        let want = (0.5f64.exp() + (-1.5f64).exp() + 1.5f64.exp()).ln();
        assert!((got[2] - want).abs() < 1e-12);
        let gradient = values.narrow(0, 0, 2)?.sum_all()?.backward()?;
        let gradient = gradient.get(rows.as_tensor()).unwrap().to_vec2::<f64>()?;
        // The positives are drawn together by both, and each negative is pushed away by half, by both.
        for (got, want) in gradient.iter().flatten().zip([-3.0, 1.0, 1.0, 1.0]) {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
        Ok(())
    }

    #[test]
    fn margins_are_finite() {
        assert!(matches!(
            loss(1.0, f64::INFINITY),
            Err(Error::InvalidParameter {
                name: "pos_margin",
                ..
            })
        ));
    }
}
