//! NCA loss: how likely each row is to pick a row of its own class, when it picks the nearer ones more often.
//!
//! ```text
//! q_i = Σ_{j positive} e^{s_ij} / Σ_{j ≠ i} e^{s_ij},   s_ij = −softmax_scale · d(i,j)
//! ℓ_i = −ln q_i · w_i
//! ```
//!
//! For similarities s is `softmax_scale` times the similarity. `w` is how often the tuples name a row, at most 1: tuples
//! choose no pairs here. Rows without a positive are left out; a batch of one row has no loss.
//!
//! Goldberger, Roweis, Hinton and Salakhutdinov, "Neighbourhood Components Analysis" (NIPS 2004).
//!
//! Both sums are taken in logarithms, so that a row however far from its class still has a finite value and gradient.

use std::sync::Arc;

use candle_core::Tensor;
use dml_core::autograd::has_kernel;
use dml_core::kernels::Real;
use dml_core::{Batch, Distance, Loss, Result, TensorExt, Term, Terms, Tuples, check, for_element};

use crate::machinery::anchor_pairs::{AnchorPairs, Side};
use crate::machinery::anchor_values::anchor_values;
use crate::machinery::row_terms::term_over_rows;
use crate::machinery::softplus::softplus;

/// Configuration of [`NCALoss`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct NCALossConfig {
    /// What distances are multiplied by; in `[-1e30, 1e30]`. Default `1`.
    pub softmax_scale: f64,
}

impl Default for NCALossConfig {
    fn default() -> Self {
        Self { softmax_scale: 1.0 }
    }
}

/// Cross entropy of picking a positive ([formula](self)). One term `loss`, per row.
#[derive(Clone, Debug)]
pub struct NCALoss {
    softmax_scale: f64,
    distance: Arc<dyn Distance>,
}

impl NCALoss {
    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if the scale is not finite.
    pub fn new(config: NCALossConfig, distance: Arc<dyn Distance>) -> Result<Self> {
        Ok(Self {
            softmax_scale: check::finite("softmax_scale", config.softmax_scale)?,
            distance,
        })
    }

    /// `−ln q` of every row `[Q]`; 0 for a row without positives.
    fn surprise(&self, matrix: &Tensor, pairs: &AnchorPairs) -> Result<Tensor> {
        let scale = -self.distance.order().sign() * self.softmax_scale;
        if has_kernel(matrix) {
            return for_element!(matrix, "matrix", |T| {
                let scale = <T as Real>::from_f64(scale);
                anchor_values::<T>("nca", matrix, pairs, |_, positives, negatives| {
                    surprise_of_row(scale, positives, negatives)
                })
            });
        }
        let (positives, negatives) = pairs.tensors()?;
        let scores = (matrix * scale)?; // [Q, R]
        let all = scores.masked_logsumexp(Some(&(&positives + negatives)?), false)?; // [Q]
        let own = scores.masked_logsumexp(Some(&positives), false)?; // [Q]
        Ok((all - own)?)
    }
}

/// `−ln(e^p / (e^p + e^n)) = ln(1 + e^(n − p))` with p and n the logarithms of the sums over positives and negatives.
fn surprise_of_row<T: Real>(scale: T, positives: &mut Side<T>, negatives: &mut Side<T>) -> f64 {
    if positives.is_empty() || negatives.is_empty() {
        return 0.0;
    }
    let own = positives.log_sum_exp(false, |x| scale * x);
    let other = negatives.log_sum_exp(false, |x| scale * x);
    // 1 − q, what the negatives have of all, is the slope in the difference.
    let (value, missing) = softplus(other - own);
    let slope = T::from_f64(missing * scale.to_f64());
    positives.scale(|_| -slope);
    negatives.scale(|_| slope);
    value
}

impl Loss for NCALoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        check::unweighted("NCALoss", batch)?;
        if let Some(terms) = batch.spoiled(&Tuples::all())? {
            return Ok(terms);
        }
        let pairs = AnchorPairs::listed("NCALoss", batch, &Tuples::all())?;
        if batch.queries() <= 1 {
            return Ok(Term::empty("loss").into());
        }
        let values = self.surprise(&batch.distances(&self.distance)?, &pairs)?;
        let rows = pairs.anchors_with_positives();
        Ok(term_over_rows("loss", &values, rows, batch, tuples)?.into())
    }
}

#[cfg(test)]
mod tests;
