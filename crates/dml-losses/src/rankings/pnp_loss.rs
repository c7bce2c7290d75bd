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
use dml_core::autograd::{self, has_kernel};
use dml_core::kernels::soft_rank::SoftRank;
use dml_core::kernels::{PairMask, Real, sum};
use dml_core::tuples::mask_tensors;
use dml_core::{Batch, Distance, Loss, Result, Term, Terms, Tuples, check, for_element};

use crate::machinery::demands;
use crate::machinery::soft_rank::{Groups, kept_sum, shares};

/// What R negatives before a positive cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum PNPVariant {
    /// `ln(1 + R)`: slope falls with R.
    Ds,
    /// `1 − (1 + R)^−α`: slope falls faster.
    Dq,
    /// `(1 + R) ln(1 + R)`: slope grows with R.
    Iu,
    /// `(bR − ln(1 + bR)) / b²`: slope grows up to `1 / b`.
    Ib,
    /// `R`.
    #[default]
    O,
}

/// Configuration of [`PNPLoss`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct PNPLossConfig {
    /// b of variant `Ib`; in `[1e-30, 1e30]`. Default `2`.
    pub b: f64,
    /// α of variant `Dq`; in `[-1e30, 1e30]`. Default `1`.
    pub alpha: f64,
    /// How far apart, in units of similarity, two values must be to be clearly ordered; in `[1e-30, 1e30]`. Default
    /// `0.01`.
    pub anneal: f64,
    /// What R negatives before a positive cost. Default `O`.
    pub variant: PNPVariant,
}

impl Default for PNPLossConfig {
    fn default() -> Self {
        Self {
            b: 2.0,
            alpha: 1.0,
            anneal: 0.01,
            variant: PNPVariant::O,
        }
    }
}

/// Negatives before positives ([formula](self)). One term `loss`, a scalar.
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
    pub fn new(config: PNPLossConfig, distance: Arc<dyn Distance>) -> Result<Self> {
        demands::cosine("PNPLoss", &distance, demands::DEFINED_FOR_COSINE)?;
        check::positive("b", config.b)?;
        check::finite("alpha", config.alpha)?;
        check::positive("anneal", config.anneal)?;
        Ok(Self { config, distance })
    }

    /// The mean cost of the group of each row `[N]`.
    fn costs(&self, matrix: &Tensor, pairs: &PairMask) -> Result<Tensor> {
        let groups = Groups::new(pairs);
        if has_kernel(matrix) {
            return for_element!(matrix, "matrix", |T| {
                autograd::row_values::<T>("pnp", matrix, |row, x, slopes| {
                    self.of_row(x, slopes, groups.of(row), pairs.negatives(row).collect())
                })
            });
        }
        let (_, negatives) = mask_tensors(pairs, matrix.device())?;
        let mut sum = Tensor::zeros(pairs.queries(), matrix.dtype(), matrix.device())?; // [N]
        for member in groups.members(matrix) {
            let (at, share) = member?;
            let before = kept_sum(&shares(matrix, &at, self.config.anneal)?, &negatives)?;
            sum = (sum + (self.cost(&before)? * share)?)?;
        }
        Ok(sum)
    }

    fn of_row<T: Real>(&self, x: &[T], slopes: &mut [T], group: &[u32], negatives: Vec<u32>) -> T {
        let rank = SoftRank::new(self.config.anneal);
        let far: Vec<T> = negatives.iter().map(|&k| x[k as usize]).collect();
        let mut shares = vec![T::ZERO; far.len()];
        let mut far_slopes = shares.clone();
        let share = 1.0 / group.len() as f64;
        let mut mean = 0.0;
        for &j in group {
            rank.shares(&far, x[j as usize], &mut shares);
            let (cost, slope) = self.cost_and_slope(sum(&shares));
            mean += share * cost;
            let own = rank.spread(&mut shares, T::from_f64(share * slope), &mut far_slopes);
            slopes[j as usize] += T::from_f64(own);
        }
        for (&k, slope) in negatives.iter().zip(far_slopes) {
            slopes[k as usize] += slope;
        }
        T::from_f64(mean)
    }

    fn cost(&self, before: &Tensor) -> Result<Tensor> {
        let PNPLossConfig {
            b, alpha, variant, ..
        } = self.config;
        let one_more = (before + 1.0)?;
        Ok(match variant {
            PNPVariant::O => before.clone(),
            PNPVariant::Ds => one_more.log()?,
            PNPVariant::Dq => (1.0 - one_more.powf(-alpha)?)?,
            PNPVariant::Iu => (&one_more * one_more.log()?)?,
            PNPVariant::Ib => {
                let scaled = (before * b)?;
                ((&scaled - (&scaled + 1.0)?.log()?)? / (b * b))?
            }
        })
    }

    fn cost_and_slope(&self, before: f64) -> (f64, f64) {
        let PNPLossConfig {
            b, alpha, variant, ..
        } = self.config;
        let one_more = 1.0 + before;
        match variant {
            PNPVariant::O => (before, 1.0),
            PNPVariant::Ds => (before.ln_1p(), 1.0 / one_more),
            PNPVariant::Dq => {
                let power = one_more.powf(-alpha);
                (1.0 - power, alpha * power / one_more)
            }
            PNPVariant::Iu => (one_more * before.ln_1p(), before.ln_1p() + 1.0),
            PNPVariant::Ib => {
                let scaled = b * before;
                ((scaled - scaled.ln_1p()) / (b * b), before / (1.0 + scaled))
            }
        }
    }
}

impl Loss for PNPLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        check::unweighted("PNPLoss", batch)?;
        if let Some(terms) = batch.spoiled(tuples)? {
            return Ok(terms);
        }
        demands::no_tuples("PNPLoss", tuples)?;
        demands::no_reference("PNPLoss", batch)?;
        let pairs = batch.require_relation("PNPLoss")?.mask();
        let rows = pairs.rows_with_positives();
        if rows.is_empty() {
            return Ok(Term::empty("loss").into());
        }
        let costs = self.costs(&batch.distances(&self.distance)?, &pairs)?;
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
