//! Circle loss: every pair is pulled as hard as it is far from its own optimum.
//!
//! ```text
//! ℓ(a) = softplus( ln Σₚ w(a,p) e^{−γ αₚ (s(a,p) − (1 − m))} + ln Σₙ w(a,n) e^{γ αₙ (s(a,n) − m)} )
//! αₚ = max(0, 1 + m − s(a,p))        αₙ = max(0, s(a,n) + m)        s: the cosine
//! w: the weight of the pair, 1 by default
//! ```
//!
//! The αs are weights, constant for the gradient. An anchor that lacks a positive or a negative has the value 0;
//! the divisor of the term is the number of the others. Sun, Cheng,
//! Zhang, Zhang, Zheng, Wang and Wei, "Circle Loss: A Unified Perspective of Pair Similarity Optimization" (2020,
//! arXiv:2002.10857), equations 6 and 8.
//!
//! One visit of each row: `O(N²)` time, and memory for the matrix and its gradient. Repeated pairs count once.

use crate::machinery::anchor_formula::{AnchorFormula, Needs, PairsOfKind};
use crate::machinery::expression::Expression;
use crate::pairs::pair_loss::pair_loss;

pair_loss! {
    /// Configuration of [`CircleLoss`].
    #[derive(Copy)]
    pub struct CircleLossConfig {
        /// The relaxation: positives aim at cosine 1 − m, negatives at m; in `[-1e30, 1e30]`. Default `0.4`.
        m: finite = 0.4,
        /// What exponents are multiplied by; in `[1e-30, 1e30]`. Default `80`.
        gamma: positive = 80.0,
    }

    /// Self-paced weighting of an anchor's pairs ([formula](self)). One term `loss`, per row.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_core::{Batch, Loss, Tuples};
    /// use dml_distances::CosineSimilarity;
    /// use dml_losses::{CircleLoss, CircleLossConfig};
    ///
    /// let config = CircleLossConfig { m: 0.5, gamma: 1.0 };
    /// let loss = CircleLoss::new(config, CosineSimilarity::default())?;
    /// let embeddings = Tensor::new(&[[1f64, 0.], [0.6, 0.8], [0., 1.]], &Device::Cpu)?;
    /// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
    /// // The positives have cosine 0.6: −0.9 · (0.6 − 0.5) = −0.09. The negative has cosine 0 with row 0 and 0.8 with row 1:
    /// // 0.5 · (0 − 0.5) = −0.25 and 1.3 · (0.8 − 0.5) = 0.39. Row 2 has no positive.
    /// let softplus = |x: f64| x.exp().ln_1p();
    /// let want = [softplus(-0.09 - 0.25), softplus(-0.09 + 0.39), 0.];
    /// let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?;
    /// for (value, want) in values.iter().zip(want) {
    ///     assert!((value - want).abs() < 1e-12);
    /// }
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct CircleLoss { pairs: distinct, reads_weights: true }

    /// A loss over a cosine `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) unless `m` is finite and `gamma` above 0,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) for a distance that is no cosine.
    fn new(cosine: "its optima are cosines: it needs CosineSimilarity as the distance");

    fn terms(config, pairs) {
        pairs.anchors(config)
    }
}

impl AnchorFormula for CircleLossConfig {
    const NEEDS: Needs = Needs::Both;

    #[inline(always)]
    fn value<P: PairsOfKind>(&self, positives: &mut P, negatives: &mut P) -> P::Value {
        let Self { m, gamma } = *self;
        let near = positives.log_sum_exp(
            false,
            #[inline(always)]
            |s| {
                let pull = (-s.detach() + (1.0 + m)).hinge() * -gamma;
                pull * (s - (1.0 - m))
            },
        );
        let far = negatives.log_sum_exp(
            false,
            #[inline(always)]
            |s| {
                let push = (s.detach() + m).hinge() * gamma;
                push * (s - m)
            },
        );
        (near + far).softplus()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::candle_core::{Device, Var};
    use dml_core::{Batch, Error, Loss, Result, Tuples};
    use dml_distances::{CosineSimilarity, DotProductSimilarity};

    fn loss(m: f64, gamma: f64) -> Result<CircleLoss> {
        let config = CircleLossConfig { m, gamma };
        CircleLoss::new(config, CosineSimilarity::default())
    }

    #[test]
    fn by_hand() -> Result<()> {
        let rows = Var::new(&[[1f64, 0.], [0.8, 0.6], [0., 1.]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [0i64, 0, 1])?;
        let terms = loss(0.25, 2.0)?.terms(&batch, &Tuples::all())?;
        let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?;
        // Cosine 0.8 between the positives: −2 · 0.45 · (0.8 − 0.75) = −0.045.
        // Cosine 0 and 0.6 to the negative: 2 · 0.25 · (0 − 0.25) = −0.125 and 2 · 0.85 · (0.6 − 0.25) = 0.595.
        let softplus = |x: f64| x.exp().ln_1p();
        let want = [softplus(-0.045 - 0.125), softplus(-0.045 + 0.595), 0.0];
        for (got, want) in values.iter().zip(want) {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
        Ok(())
    }

    #[test]
    fn errors_name_their_cause() -> Result<()> {
        let dot = DotProductSimilarity::default();
        assert!(matches!(
            CircleLoss::new(CircleLossConfig::default(), dot),
            Err(Error::Unsupported { .. })
        ));
        assert!(matches!(
            loss(f64::NAN, 1.0),
            Err(Error::InvalidParameter { name: "m", .. })
        ));
        assert!(matches!(
            loss(0.4, 0.0),
            Err(Error::InvalidParameter { name: "gamma", .. })
        ));
        Ok(())
    }
}
