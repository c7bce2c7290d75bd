//! Supervised contrastive loss: the mean over an anchor's positives of the cross entropy against all its pairs.
//!
//! ```text
//! ℓ(a) = −Σₚ w(a,p) ( s(a,p)/t − Z ) / Σₚ w(a,p),   Z = ln( Σₚ e^{s(a,p)/t} + Σₙ w(a,n) e^{s(a,n)/t} )
//! p: positives of a, n: its negatives        s: the similarity; for distances their negative
//! t: temperature        w: the weight of the pair
//! ```
//!
//! Khosla, Teterwak, Wang, Sarna, Tian, Isola, Maschinot, Liu and Krishnan, "Supervised Contrastive Learning" (2020,
//! arXiv:2004.11362), the outer sum. An anchor without positives has the value 0. Weights are 1
//! unless the relation of the batch has others: for label sets that of a positive is the Jaccard index, so that a row that
//! shares all labels pulls more than one that shares a single label. A weight changes how much a positive pulls, not its
//! part of the denominator.
//!
//! One visit of each row: `O(N²)` time, and memory for the matrix and its gradient. Repeated pairs count once.

use crate::machinery::anchor_formula::{AnchorFormula, Needs, PairsOfKind};
use crate::pairs::pair_loss::pair_loss;

pair_loss! {
    /// Configuration of [`SupConLoss`].
    pub struct SupConLossConfig {
        /// What similarities are divided by; in `[1e-30, 1e30]`. Default `0.1`.
        temperature: positive = 0.1,
    }

    /// Mean cross entropy of an anchor's positives ([formula](self)). One term `loss`, per row, with the number of rows that have
    /// a positive as its divisor; empty without any positive or any negative pair.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_core::{Batch, Loss, Tuples};
    /// use dml_distances::LpDistance;
    /// use dml_losses::{SupConLoss, SupConLossConfig};
    ///
    /// let config = SupConLossConfig { temperature: 1.0 };
    /// let loss = SupConLoss::new(config, LpDistance::unnormalized())?;
    /// let embeddings = Tensor::new(&[[0f64], [1.], [3.], [-2.]], &Device::Cpu)?;
    /// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 0, 1])?, &Tuples::all())?;
    /// // Row 0: its positives are 1 and 3 away, 2 in the mean, and its negative 2. Row 1: 1 and 2, and 3. Row 2: 3 and 2,
    /// // and 5. Row 3 has no positive.
    /// let z = |a: f64, b: f64, c: f64| ((-a).exp() + (-b).exp() + (-c).exp()).ln();
    /// let want = [2. + z(1., 3., 2.), 1.5 + z(1., 2., 3.), 2.5 + z(3., 2., 5.), 0.];
    /// let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?;
    /// for (value, want) in values.iter().zip(want) {
    ///     assert!((value - want).abs() < 1e-12);
    /// }
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct SupConLoss { pairs: distinct, reads_weights: true }

    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) unless the temperature is finite and above 0.
    fn new();

    fn terms(config, pairs) {
        pairs.anchors_with_both(&MeanCrossEntropy {
            factor: -pairs.sign() / config.temperature,
        })
    }
}

/// `ln Σⱼ e^{k xⱼ} − Σₚ wₚ k xₚ / Σₚ wₚ`.
#[derive(Clone, Copy, Debug)]
struct MeanCrossEntropy {
    factor: f64,
}

impl AnchorFormula for MeanCrossEntropy {
    const NEEDS: Needs = Needs::Positive;

    #[inline(always)]
    fn value<P: PairsOfKind>(&self, positives: &mut P, negatives: &mut P) -> P::Value {
        let all = P::log_sum_exp_of_both(
            positives,
            negatives,
            #[inline(always)]
            |x| x * self.factor,
        );
        all - positives.mean(
            #[inline(always)]
            |x| x * self.factor,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::autograd::without_kernels;
    use dml_core::candle_core::{Device, Tensor, Var};
    use dml_core::{Batch, Error, Loss, Pairs, Relation, Result, Tuples};
    use dml_distances::LpDistance;

    fn loss(temperature: f64) -> Result<SupConLoss> {
        let config = SupConLossConfig { temperature };
        SupConLoss::new(config, LpDistance::unnormalized())
    }

    #[test]
    fn what_shares_more_labels_pulls_more() -> Result<()> {
        // Row 0 shares both labels with row 1 and one of two with row 2; distances 1, 3 and, to the negative, 10.
        let sets = [vec![1, 2], vec![1, 2], vec![1], vec![9]];
        let rows = Tensor::new(&[[0f64], [1.], [-3.], [10.]], &Device::Cpu)?;
        let batch = Batch::unlabeled(&rows)?.with_relation(Relation::label_sets(&sets, None))?;
        let expected =
            (1.0 * 1.0 + 0.5 * 3.0) / 1.5 + ((-1f64).exp() + (-3f64).exp() + (-10f64).exp()).ln();
        let first = || -> Result<f64> {
            let terms = loss(1.0)?.terms(&batch, &Tuples::all())?;
            Ok(terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?[0])
        };
        for got in [first()?, without_kernels(first)?] {
            assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        }
        Ok(())
    }

    #[test]
    fn value_and_gradient_by_hand() -> Result<()> {
        let rows = Var::new(&[[0f64], [1.], [-1.], [7.]], &Device::Cpu)?;
        let batch = Batch::unlabeled(&rows)?;
        // Row 0 is 1 away from both positives and 7 away from the negative; the repeat counts once.
        let pairs = Pairs::new(vec![0, 0, 0], vec![1, 2, 2], vec![0], vec![3])?;
        let terms = loss(1.0)?.terms(&batch, &pairs.into())?;
        let values = terms.get("loss").unwrap().values()?.0;
        let e = (-6f64).exp();
        let got = values.to_vec1::<f64>()?;
        assert!((got[0] - (2.0 + e).ln()).abs() < 1e-12);
        assert_eq!(got[1..], [0.0; 3]);
        let gradient = values.sum_all()?.backward()?;
        let gradient = gradient.get(rows.as_tensor()).unwrap().to_vec2::<f64>()?;
        // Row 1 is drawn to row 0 with ½ − 1/(2 + e⁻⁶), row 3 pushed away with e⁻⁶/(2 + e⁻⁶).
        assert!((gradient[1][0] - (0.5 - 1.0 / (2.0 + e))).abs() < 1e-12);
        assert!((gradient[3][0] + e / (2.0 + e)).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn only_one_kind_of_pairs_is_empty_and_contradictions_are_errors() -> Result<()> {
        let rows = Var::new(&[[0f64], [1.]], &Device::Cpu)?;
        for labels in [[0i64, 0], [0, 1]] {
            let terms = loss(1.0)?.terms(&Batch::new(&rows, labels)?, &Tuples::all())?;
            assert!(terms.get("loss").unwrap().is_empty());
        }
        let both = Pairs::new(vec![0], vec![1], vec![0], vec![1])?;
        assert!(matches!(
            loss(1.0)?.terms(&Batch::unlabeled(&rows)?, &both.into()),
            Err(Error::Unsupported { .. })
        ));
        assert!(matches!(
            loss(-1.0),
            Err(Error::InvalidParameter {
                name: "temperature",
                ..
            })
        ));
        Ok(())
    }
}
