//! Lifted structure loss: each positive pair against all negatives of both of its rows.
//!
//! ```text
//! ℓ(i,j) = w(i,j) max(0, ln( Σₙ w(i,n) e^{neg_margin − h(i,n)} + Σₙ w(j,n) e^{neg_margin − h(j,n)} ) + h(i,j) − pos_margin)² / 2
//! h: the distance        w: the weight of the pair, 1 by default
//! ```
//!
//! For similarities all differences change their sign. A pair whose rows have no negatives counts 0 in place of the
//! logarithm. With a reference set j is no anchor, and only the negatives of i are there. (PyTorch Metric Learning takes
//! those of whatever query has j's row number.) Oh Song, Xiang, Jegelka and Savarese, "Deep Metric Learning via Lifted
//! Structured Feature Embedding" (2015, arXiv:1511.06452), equation 4.
//!
//! The sum over the negatives is taken once an anchor, and the values of the pairs are summed without being written out:
//! `O(N²)` time, and memory for the matrix and its gradient.

mod lifting;

use crate::pairs::pair_loss::pair_loss;
use lifting::Lifting;

pair_loss! {
    /// Configuration of [`LiftedStructureLoss`].
    pub struct LiftedStructureLossConfig {
        /// How far negatives should be, in units of the distance; in `[-1e30, 1e30]`. Default `1`.
        neg_margin: finite = 1.0,
        /// How close positives should be, in units of the distance; in `[-1e30, 1e30]`. Default `0`.
        pos_margin: finite = 0.0,
    }

    /// Each positive pair against the negatives of its rows ([formula](self)). One term `loss`, per positive pair; empty
    /// without any positive or any negative pair.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_core::{Batch, Loss, Tuples};
    /// use dml_distances::LpDistance;
    /// use dml_losses::{LiftedStructureLoss, LiftedStructureLossConfig};
    ///
    /// let config = LiftedStructureLossConfig { neg_margin: 2.0, pos_margin: 0.0 };
    /// let loss = LiftedStructureLoss::new(config, LpDistance::unnormalized())?;
    /// let embeddings = Tensor::new(&[[0f64], [1.], [3.]], &Device::Cpu)?;
    /// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
    /// // The positives are 1 apart; the negative is 3 away from row 0 and 2 from row 1. Squared and halved, both ways:
    /// // ln(e^{2 − 3} + e^{2 − 2}) + 1.
    /// let want = ((-1f64).exp().ln_1p() + 1.).powi(2) / 2.;
    /// let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?;
    /// for (value, want) in values.iter().zip([want, want]) {
    ///     assert!((value - want).abs() < 1e-12);
    /// }
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct LiftedStructureLoss { pairs: listed, reads_weights: true }

    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if a margin is not finite.
    fn new();

    fn terms(config, pairs) {
        pairs.positives(Lifting {
            sign: pairs.sign(),
            neg_margin: config.neg_margin,
            pos_margin: config.pos_margin,
            // A positive is an anchor of its own where the rows are compared among themselves.
            both_rows: pairs.batch().reference().is_none(),
        })
    }
}

#[cfg(test)]
mod tests;
