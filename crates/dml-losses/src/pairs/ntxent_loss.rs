//! Normalised temperature-scaled cross entropy: each positive against all negatives of its anchor.
//!
//! ```text
//! ℓ(a,p) = −w(a,p) ln( e^{s(a,p)/t} / (e^{s(a,p)/t} + Σₙ w(a,n) e^{s(a,n)/t}) )
//! s: the similarity; for distances their negative        t: temperature        w: the weight of the pair, 1 by default
//! ```
//!
//! Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective" (NIPS 2016); van den Oord, Li and Vinyals,
//! "Representation Learning with Contrastive Predictive Coding" (2018, arXiv:1807.03748), where it is called InfoNCE; Chen,
//! Kornblith, Norouzi and Hinton, "A Simple Framework for Contrastive Learning of Visual Representations" (2020,
//! arXiv:2002.05709).
//!
//! The sum over the negatives is taken once an anchor, and the values of the pairs are summed without being written out:
//! `O(N²)` time, and memory for the matrix and its gradient.

use crate::machinery::expression::Expression;
use crate::machinery::pair_formula::PairFormula;
use crate::pairs::pair_loss::pair_loss;

pair_loss! {
    /// Configuration of [`NTXentLoss`].
    pub struct NTXentLossConfig {
        /// What similarities are divided by; in `[1e-30, 1e30]`. Default `0.07`.
        temperature: positive = 0.07,
    }

    /// Cross entropy of each positive against the negatives ([formula](self)). One term `loss`, per positive pair; empty
    /// without any positive or any negative pair.
    ///
    /// ```
    /// use dml_core::{Batch, Distance, Loss, Result, TensorExt, Tuples, candle_core::{Device, Tensor}};
    /// use dml_losses::{NTXentLoss, NTXentLossConfig};
    ///
    /// #[derive(Debug)]
    /// struct Euclidean;
    /// impl Distance for Euclidean {
    ///     fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
    ///         query.pairwise_lp(reference.unwrap_or(query), 2.0)
    ///     }
    /// }
    ///
    /// let loss = NTXentLoss::new(NTXentLossConfig { temperature: 1.0 }, Euclidean)?;
    /// let embeddings = Tensor::new(&[[0f32], [1.], [-1.]], &Device::Cpu)?;
    /// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
    /// // Row 0 is as far from row 2 as from row 1: ln 2. Row 1 is 1 and 2 away: ln(1 + e⁻¹).
    /// let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f32>()?;
    /// assert!((values[0] - 0.6931).abs() < 1e-4 && (values[1] - 0.3133).abs() < 1e-4);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct NTXentLoss { pairs: listed, reads_weights: true }

    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) unless the temperature is finite and above 0.
    fn new();

    fn terms(config, pairs) {
        pairs.positives(CrossEntropy {
            factor: -pairs.sign() / config.temperature,
        })
    }
}

/// `ln(1 + Σₙ e^{k x(a,n) − k x(a,p)})`.
#[derive(Clone, Copy, Debug)]
struct CrossEntropy {
    factor: f64,
}

impl PairFormula for CrossEntropy {
    const READS_NEGATIVES: bool = true;

    #[inline(always)]
    fn value<E: Expression>(&self, x: E, negatives: E) -> E {
        (negatives - self.exponent(x)).softplus()
    }

    #[inline(always)]
    fn exponent<E: Expression>(&self, x: E) -> E {
        x * self.factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::candle_core::{Device, Var};
    use dml_core::{Batch, Error, Loss, Pairs, Result, Tuples};
    use dml_distances::{CosineSimilarity, LpDistance};

    fn loss(temperature: f64) -> Result<NTXentLoss> {
        let config = NTXentLossConfig { temperature };
        NTXentLoss::new(config, LpDistance::unnormalized())
    }

    #[test]
    fn value_and_gradient_by_hand() -> Result<()> {
        let rows = Var::new(&[[0f64], [1.], [-1.]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [0i64, 0, 1])?;
        let terms = loss(0.5)?.terms(&batch, &Tuples::all())?;
        let part = terms.get("loss").unwrap().sum_within(None, None)?;
        // Twice the differences: ln 2 for row 0, ln(1 + e⁻²) for row 1. Row 2 has no positive.
        let e = (-2f64).exp();
        let want = 2f64.ln() + (1.0 + e).ln();
        assert!((part.sum.to_scalar::<f64>()? - want).abs() < 1e-12);
        assert_eq!(part.count, 2);
        // d(0,1) has gradient 2 · (½ + e⁻²/(1 + e⁻²)), d(0,2) −2 · ½, d(1,2) −2 · e⁻²/(1 + e⁻²).
        let share = e / (1.0 + e);
        let gradient = part.sum.backward()?;
        let gradient = gradient.get(rows.as_tensor()).unwrap().to_vec2::<f64>()?;
        let near = 1.0 + 2.0 * share;
        for (got, want) in
            gradient
                .iter()
                .flatten()
                .zip([-near - 1.0, near - 2.0 * share, 1.0 + 2.0 * share])
        {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
        Ok(())
    }

    #[test]
    fn a_pair_without_negatives_of_its_anchor_is_zero() -> Result<()> {
        let rows = Var::new(&[[0f64, 1.], [1., 0.], [1., 1.]], &Device::Cpu)?;
        let batch = Batch::unlabeled(&rows)?;
        let pairs = Pairs::new(vec![0, 1], vec![1, 2], vec![0, 0], vec![2, 2])?;
        let loss = NTXentLoss::new(
            NTXentLossConfig { temperature: 1.0 },
            CosineSimilarity::default(),
        )?;
        let terms = loss.terms(&batch, &pairs.into())?;
        let term = terms.get("loss").unwrap();
        // The repeated negative counts twice.
        let want = (1.0 + 2.0 * 0.5f64.sqrt().exp()).ln();
        let values = term.values()?.0.to_vec1::<f64>()?;
        assert!(
            (values[0] - want).abs() < 1e-12 && values[1].abs() < 1e-15,
            "{values:?}"
        );
        let part = term.sum_within(Some(0.0), None)?;
        assert!((part.sum.to_scalar::<f64>()? - want).abs() < 1e-12);
        assert_eq!(part.count, 1);
        Ok(())
    }

    #[test]
    fn only_one_kind_of_pairs_is_empty_and_the_temperature_is_checked() -> Result<()> {
        let rows = Var::new(&[[0f64], [1.]], &Device::Cpu)?;
        for labels in [[0i64, 0], [0, 1]] {
            let terms = loss(1.0)?.terms(&Batch::new(&rows, labels)?, &Tuples::all())?;
            assert!(terms.get("loss").unwrap().is_empty());
        }
        assert!(matches!(
            loss(0.0),
            Err(Error::InvalidParameter {
                name: "temperature",
                ..
            })
        ));
        Ok(())
    }
}
