//! Smooth-AP loss: average precision of each row's ranking, with soft ranks.
//!
//! ```text
//! G_i: the positives of i, and i itself
//! rank(j, S) = 1 + Σ_{k ∈ S, k ≠ j} 1 / (1 + e^{−(s_ik − s_ij)/t})
//! AP_i = mean over j ∈ G_i of rank(j, G_i) / rank(j, all rows)
//! ℓ_i = (1 − AP_i) · w_i
//! ```
//!
//! `w` is how often the tuples name a row, at most 1: tuples choose no pairs here. All classes must have the same number
//! of rows. Who belongs to a group is what the relation of the batch says. (PyTorch Metric Learning cuts the batch
//! into blocks of as many rows as there are classes, whatever their labels are.)
//!
//! Brown, Xie, Kalogeiton and Zisserman, "Smooth-AP: Smoothing the Path Towards Large-Scale Image Retrieval" (ECCV 2020,
//! arXiv:2007.12163).
//!
//! Every positive of a row is compared with every row: `O(N³ / classes)` steps, but beside the matrix of similarities
//! no more memory than its gradient.

use std::sync::Arc;

use dml_core::{Batch, Distance, Loss, Result, Term, Terms, Tuples, check};

use crate::machinery::expression::Expression;
use crate::machinery::requirements;
use crate::machinery::row_terms::term_over_rows;
use crate::machinery::soft_rank::{RankFormula, SoftRanks};

dml_core::config! {
    /// Configuration of [`SmoothAPLoss`].
    pub struct SmoothAPLossConfig {
        /// t: how far apart, in units of similarity, two values must be to be clearly ordered; in `[1e-30, 1e30]`. Default
        /// `0.01`.
        pub temperature: f64 = 0.01,
    }
}

/// One minus the average precision of soft ranks ([formula](self)). One term `ap_loss`, per row.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::CosineSimilarity;
/// use dml_losses::{SmoothAPLoss, SmoothAPLossConfig};
///
/// let config = SmoothAPLossConfig { temperature: 0.001 };
/// let loss = SmoothAPLoss::new(config, CosineSimilarity::default())?;
/// let rows = &[[1f64, 0.], [0., 1.], [0.8, 0.6], [-0.8, -0.6]];
/// let embeddings = Tensor::new(rows, &Device::Cpu)?;
/// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1, 1])?, &Tuples::all())?;
/// // A positive is second in its group. Rows 0 and 1 rank it third of all, AP (1 + 2/3)/2; rows 2 and 3 fourth.
/// let values = terms.get("ap_loss").unwrap().values()?.0.to_vec1::<f64>()?;
/// for (value, want) in values.iter().zip([1f64 / 6., 1. / 6., 1. / 4., 1. / 4.]) {
///     assert!((value - want).abs() < 1e-12);
/// }
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SmoothAPLoss {
    temperature: f64,
    distance: Arc<dyn Distance>,
}

impl SmoothAPLoss {
    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if the temperature is not above 0,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) unless the distance is the cosine similarity.
    pub fn new(config: SmoothAPLossConfig, distance: impl Distance + 'static) -> Result<Self> {
        requirements::cosine("SmoothAPLoss", &distance, requirements::DEFINED_FOR_COSINE)?;
        Ok(Self {
            temperature: check::positive("temperature", config.temperature)?,
            distance: Arc::new(distance),
        })
    }
}

/// `1 − rank(j, G_i) / rank(j, all rows)`.
struct Imprecision;

impl RankFormula for Imprecision {
    const COUNTS_GROUP: bool = true;

    #[inline(always)]
    fn value<E: Expression>(&self, group: E, negatives: E) -> E {
        let among_group = group + 1.0;
        let among_all = among_group.clone() + negatives;
        -(among_group / among_all) + 1.0
    }
}

impl Loss for SmoothAPLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        requirements::check(self, "SmoothAPLoss", batch, tuples)?;
        if let Some(terms) = batch.spoiled(&Tuples::all())? {
            return Ok(terms);
        }
        let pairs = batch.require_relation("SmoothAPLoss")?.mask();
        let ranks = SoftRanks::new(pairs, self.temperature);
        let reason = "every class must have the same number of rows; sample so many of each";
        check::supported(ranks.groups_are_even(), "SmoothAPLoss", reason)?;
        if batch.queries() == 0 {
            return Ok(Term::empty("ap_loss").into());
        }
        let matrix = batch.distances(&self.distance)?; // [N, N]
        let values = ranks.means("smooth_ap", &matrix, &Imprecision)?;
        let rows = (0..batch.queries() as u32).collect();
        Ok(term_over_rows("ap_loss", &values, rows, batch, tuples)?.into())
    }

    fn takes_reference(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
