//! Decoupled contrastive loss: each positive against all negatives of its anchor, without the positive in the sum.
//!
//! ```text
//! ℓ(a,p) = w(a,p) ( −s(a,p)/t + ln Σₙ w(a,n) e^{s(a,n)/t} )
//! s: the similarity; for distances their negative        t: temperature        w: the weight of the pair, 1 by default
//! ```
//!
//! [`NTXentLoss`](crate::NTXentLoss) has the positive in the sum as well, which scales the gradient down where the positive
//! is close; without it small batches learn as well as large ones. A value may be negative.
//!
//! Yeh, Hong, Hsu, Liu, Chen and LeCun, "Decoupled Contrastive Learning" (2022, arXiv:2110.06848), equation 6.
//!
//! The sum over the negatives is taken once an anchor, and the values of the pairs are summed without being written out:
//! `O(N²)` time, and memory for the matrix and its gradient.

use crate::machinery::expression::Expression;
use crate::machinery::pair_formula::PairFormula;
use crate::pairs::pair_loss::pair_loss;

pair_loss! {
    /// Configuration of [`DecoupledContrastiveLoss`].
    pub struct DecoupledContrastiveLossConfig {
        /// What similarities are divided by; in `[1e-30, 1e30]`. Default `0.1`.
        temperature: positive = 0.1,
    }

    /// Each positive against the sum over the negatives ([formula](self)). One term `loss`, per positive pair: 0 for an anchor
    /// without negatives, and empty without any positive or any negative pair.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_core::{Batch, Loss, Tuples};
    /// use dml_distances::LpDistance;
    /// use dml_losses::{DecoupledContrastiveLoss, DecoupledContrastiveLossConfig};
    ///
    /// let config = DecoupledContrastiveLossConfig { temperature: 0.5 };
    /// let loss = DecoupledContrastiveLoss::new(config, LpDistance::unnormalized())?;
    /// let embeddings = Tensor::new(&[[0f64], [1.], [3.]], &Device::Cpu)?;
    /// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
    /// // Row 0: its positive is 1 away and its negative 3. Row 1: 1 and 2.
    /// let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?;
    /// assert_eq!(values, [2. * (1. - 3.), 2. * (1. - 2.)]);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct DecoupledContrastiveLoss { pairs: listed, reads_weights: true }

    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) unless the temperature is finite and above 0.
    fn new();

    fn terms(config, pairs) {
        pairs.positives(Decoupled {
            factor: -pairs.sign() / config.temperature,
        })
    }
}

/// `ln Σₙ w e^{k x(a,n)} − k x(a,p)`.
#[derive(Clone, Copy, Debug)]
struct Decoupled {
    factor: f64,
}

impl PairFormula for Decoupled {
    const READS_NEGATIVES: bool = true;

    #[inline(always)]
    fn value<E: Expression>(&self, x: E, negatives: E) -> E {
        negatives - self.exponent(x)
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

    fn loss(temperature: f64) -> Result<DecoupledContrastiveLoss> {
        let config = DecoupledContrastiveLossConfig { temperature };
        DecoupledContrastiveLoss::new(config, LpDistance::unnormalized())
    }

    #[test]
    fn value_and_gradient_by_hand() -> Result<()> {
        let rows = Var::new(&[[0f64], [1.], [-1.], [-3.]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [0i64, 0, 1, 2])?;
        let terms = loss(1.0)?.terms(&batch, &Tuples::all())?;
        let part = terms.get("loss").unwrap().sum_within(None, None)?;
        // Row 0: 1 + ln(e⁻¹ + e⁻³). Row 1: 1 + ln(e⁻² + e⁻⁴). Rows 2 and 3 have no positive.
        let sum = |a: f64, b: f64| 1.0 + ((-a).exp() + (-b).exp()).ln();
        let want = sum(1.0, 3.0) + sum(2.0, 4.0);
        assert!((part.sum.to_scalar::<f64>()? - want).abs() < 1e-12);
        assert_eq!(part.count, 2);
        // The nearer negative has the share e²/(1 + e²) of either sum.
        let share = 1.0 / (1.0 + (-2f64).exp());
        let gradient = part.sum.backward()?;
        let gradient = gradient.get(rows.as_tensor()).unwrap().to_vec2::<f64>()?;
        // d(0,1) twice with derivative 1; the distances to row 2 and to row 3 with −share and share − 1 from both rows.
        let want = [-2.0 - 1.0, 2.0 - 1.0, 2.0 * share, 2.0 * (1.0 - share)];
        for (got, want) in gradient.iter().flatten().zip(want) {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
        Ok(())
    }

    #[test]
    fn a_pair_without_negatives_of_its_anchor_is_zero() -> Result<()> {
        let rows = Var::new(&[[0f64, 1.], [1., 0.], [1., 1.]], &Device::Cpu)?;
        let batch = Batch::unlabeled(&rows)?;
        let pairs = Pairs::new(vec![0, 1], vec![1, 2], vec![0, 0], vec![2, 2])?;
        let config = DecoupledContrastiveLossConfig { temperature: 1.0 };
        let loss = DecoupledContrastiveLoss::new(config, CosineSimilarity::default())?;
        let terms = loss.terms(&batch, &pairs.into())?;
        let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?;
        // The positive is orthogonal; the repeated negative, 45° away, counts twice.
        let want = (2.0 * 0.5f64.sqrt().exp()).ln();
        assert!(
            (values[0] - want).abs() < 1e-12 && values[1].abs() < 1e-15,
            "{values:?}"
        );
        Ok(())
    }

    #[test]
    fn only_one_kind_of_pairs_is_empty_and_the_temperature_is_checked() -> Result<()> {
        let rows = Var::new(&[[0f64], [1.]], &Device::Cpu)?;
        for labels in [[0i64, 0], [0, 1]] {
            let terms = loss(1.0)?.terms(&Batch::new(&rows, labels)?, &Tuples::all())?;
            assert!(terms.get("loss").unwrap().is_empty());
        }
        let refused = |temperature| {
            matches!(
                loss(temperature),
                Err(Error::InvalidParameter {
                    name: "temperature",
                    ..
                })
            )
        };
        assert!(refused(0.0) && refused(f64::NAN));
        Ok(())
    }
}
