//! PNP loss: how many negatives each row ranks before its positives.
//!
//! ```text
//! R_ij = Σ_{k negative} 1 / (1 + e^{−(s_ik − s_ij)/anneal})      for j positive for i, and j = i
//! O: R    Ds: ln(1 + R)    Dq: 1 − (1 + R)^−α    Iu: (1 + R) ln(1 + R)    Ib: (bR − ln(1 + bR)) / b²
//! ℓ = the mean over j, then over the rows that have a positive
//! ```
//!
//! The exponent is kept between ±50.
//!
//! Li, Gong, Wang and others, "Rethinking the Optimization of Average Precision: Only Penalizing Negative Instances
//! before Positive Ones is Enough" (AAAI 2022, arXiv:2102.04640).
//!
//! Every positive of a row is compared with every negative: `O(N³ / classes)` steps, but beside the matrix of
//! similarities no more memory than its gradient.

use std::sync::Arc;

use candle_core::Tensor;
use dml_core::{Batch, Distance, Loss, Result, Term, Terms, Tuples, check};

use crate::machinery::expression::Expression;
use crate::machinery::requirements;
use crate::machinery::soft_rank::{RankFormula, SoftRanks};

/// What R negatives before a positive cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum PNPVariant {
    /// `ln(1 + R)`: its gradient falls with R.
    Ds,
    /// `1 − (1 + R)^−α`: its gradient falls faster.
    Dq,
    /// `(1 + R) ln(1 + R)`: its gradient grows with R.
    Iu,
    /// `(bR − ln(1 + bR)) / b²`: its gradient grows up to `1 / b`.
    Ib,
    /// `R`.
    #[default]
    O,
}

dml_core::config! {
    /// Configuration of [`PNPLoss`].
    pub struct PNPLossConfig {
        /// b of variant `Ib`; in `[1e-30, 1e30]`. Default `2`.
        pub b: f64 = 2.0,
        /// α of variant `Dq`; in `[-1e30, 1e30]`. Default `1`.
        pub alpha: f64 = 1.0,
        /// How far apart, in units of similarity, two values must be to be clearly ordered; in `[1e-30, 1e30]`. Default
        /// `0.01`.
        pub anneal: f64 = 0.01,
        /// What R negatives before a positive cost. Default `O`.
        pub variant: PNPVariant = PNPVariant::O,
    }
}

/// Negatives before positives ([formula](self)). One term `loss`, a scalar.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::CosineSimilarity;
/// use dml_losses::{PNPLoss, PNPLossConfig};
///
/// let loss = PNPLoss::new(PNPLossConfig::default(), CosineSimilarity::default())?;
/// let embeddings = Tensor::new(&[[1f64, 0.], [0.6, 0.8], [0., 1.]], &Device::Cpu)?;
/// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
/// // Row 0 ranks the negative last: 0. Row 1 ranks it behind itself and before its positive: the mean of 0 and 1.
/// let value = terms.get("loss").unwrap().values()?.0.to_scalar::<f64>()?;
/// assert!((value - (0. + 0.5) / 2.).abs() < 1e-12);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PNPLoss {
    config: PNPLossConfig,
    distance: Arc<dyn Distance>,
}

impl PNPLoss {
    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if an argument is outside of its range,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) unless the distance is the cosine similarity.
    pub fn new(config: PNPLossConfig, distance: impl Distance + 'static) -> Result<Self> {
        requirements::cosine("PNPLoss", &distance, requirements::DEFINED_FOR_COSINE)?;
        check::positive("b", config.b)?;
        check::finite("alpha", config.alpha)?;
        check::positive("anneal", config.anneal)?;
        Ok(Self {
            config,
            distance: Arc::new(distance),
        })
    }
}

impl RankFormula for PNPLossConfig {
    const COUNTS_GROUP: bool = false;

    #[inline(always)]
    fn value<E: Expression>(&self, _: E, before: E) -> E {
        match self.variant {
            PNPVariant::O => before,
            PNPVariant::Ds => before.ln_1p(),
            PNPVariant::Dq => -(before + 1.0).powf(-self.alpha) + 1.0,
            PNPVariant::Iu => (before.clone() + 1.0) * before.ln_1p(),
            PNPVariant::Ib => {
                // Divided by b twice: its square may vanish.
                (before * self.b).minus_ln_1p() / self.b / self.b
            }
        }
    }
}

impl Loss for PNPLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        requirements::check(self, "PNPLoss", batch, tuples)?;
        if let Some(terms) = batch.spoiled(tuples)? {
            return Ok(terms);
        }
        let pairs = batch.require_relation("PNPLoss")?.mask();
        let rows = pairs.rows_with_positives();
        if rows.is_empty() {
            return Ok(Term::empty("loss").into());
        }
        let ranks = SoftRanks::new(pairs, self.config.anneal);
        let costs = ranks.means("pnp", &batch.distances(&self.distance)?, &self.config)?;
        let rows = Tensor::new(rows, costs.device())?;
        let mean = costs.index_select(&rows, 0)?.mean_all()?;
        Ok(Term::scalar("loss", mean)?.into())
    }

    fn takes_reference(&self) -> bool {
        false
    }

    fn takes_tuples(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
