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

use dml_core::{Batch, Distance, Loss, Result, Term, Terms, Tuples, check};

use crate::machinery::anchor_formula::{AnchorFormula, Needs, PairsOfKind, values_of_anchors};
use crate::machinery::anchor_pairs::AnchorPairs;
use crate::machinery::expression::Expression;
use crate::machinery::requirements;
use crate::machinery::row_terms::term_over_rows;

dml_core::config! {
    /// Configuration of [`NCALoss`].
    pub struct NCALossConfig {
        /// What distances are multiplied by; in `[-1e30, 1e30]`. Default `1`.
        pub softmax_scale: f64 = 1.0,
    }
}

/// Cross entropy of picking a positive ([formula](self)). One term `loss`, per row.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::LpDistance;
/// use dml_losses::{NCALoss, NCALossConfig};
///
/// let config = NCALossConfig { softmax_scale: 2.0 };
/// let loss = NCALoss::new(config, LpDistance::unnormalized())?;
/// let embeddings = Tensor::new(&[[0f64], [1.], [3.]], &Device::Cpu)?;
/// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
/// // Row 0: its positive is 1 away and its negative 3: ln(1 + e⁻⁴). Row 1: 1 and 2: ln(1 + e⁻²). Row 2 has no positive.
/// let want = [(-4f64).exp().ln_1p(), (-2f64).exp().ln_1p()];
/// let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?;
/// assert_eq!(values.len(), 2);
/// for (value, want) in values.iter().zip(want) {
///     assert!((value - want).abs() < 1e-12);
/// }
/// # Ok::<(), dml_core::Error>(())
/// ```
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
    pub fn new(config: NCALossConfig, distance: impl Distance + 'static) -> Result<Self> {
        Ok(Self {
            softmax_scale: check::finite("softmax_scale", config.softmax_scale)?,
            distance: Arc::new(distance),
        })
    }
}

/// `−ln(e^p / (e^p + e^n)) = ln(1 + e^(n − p))` with p and n the logarithms of the sums over positives and negatives.
#[derive(Clone, Copy)]
struct Surprise {
    scale: f64,
}

impl AnchorFormula for Surprise {
    const NEEDS: Needs = Needs::Both;

    #[inline(always)]
    fn value<P: PairsOfKind>(&self, positives: &mut P, negatives: &mut P) -> P::Value {
        let own = positives.log_sum_exp(
            false,
            #[inline(always)]
            |x| x * self.scale,
        );
        let other = negatives.log_sum_exp(
            false,
            #[inline(always)]
            |x| x * self.scale,
        );
        (other - own).softplus()
    }
}

impl Loss for NCALoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        requirements::check(self, "NCALoss", batch, tuples)?;
        if let Some(terms) = batch.spoiled(&Tuples::all())? {
            return Ok(terms);
        }
        let pairs = AnchorPairs::listed(self, "NCALoss", batch, &Tuples::all())?;
        if batch.queries() <= 1 {
            return Ok(Term::empty("loss").into());
        }
        let surprise = Surprise {
            scale: -self.distance.order().sign() * self.softmax_scale,
        };
        let matrix = batch.distances(&self.distance)?; // [Q, R]
        let (values, _) = values_of_anchors("nca", &surprise, &matrix, &pairs)?;
        let rows = pairs.anchors_with_positives();
        Ok(term_over_rows("loss", &values, rows, batch, tuples)?.into())
    }
}

#[cfg(test)]
mod tests;
