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

use candle_core::{DType, Tensor};
use dml_core::autograd::{self, has_kernel};
use dml_core::kernels::soft_rank::SoftRank;
use dml_core::kernels::{PairMask, Real, sum};
use dml_core::tuples::mask_tensors;
use dml_core::{Batch, Distance, Error, Loss, Result, Term, Terms, Tuples, check, for_element};

use crate::machinery::demands;
use crate::machinery::row_terms::term_over_rows;
use crate::machinery::soft_rank::{Groups, kept_sum, shares};

/// Configuration of [`SmoothAPLoss`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct SmoothAPLossConfig {
    /// t: how far apart, in units of similarity, two values must be to be clearly ordered; in `[1e-30, 1e30]`. Default
    /// `0.01`.
    pub temperature: f64,
}

impl Default for SmoothAPLossConfig {
    fn default() -> Self {
        Self { temperature: 0.01 }
    }
}

/// One minus the average precision of soft ranks ([formula](self)). One term `ap_loss`, per row.
#[derive(Clone, Debug)]
pub struct SmoothAPLoss {
    temperature: f64,
    distance: Arc<dyn Distance>,
}

impl SmoothAPLoss {
    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if the temperature is not above 0, [`Error::Unsupported`] unless the distance is the
    /// cosine similarity.
    pub fn new(config: SmoothAPLossConfig, distance: Arc<dyn Distance>) -> Result<Self> {
        demands::cosine("SmoothAPLoss", &distance, demands::DEFINED_FOR_COSINE)?;
        Ok(Self {
            temperature: check::positive("temperature", config.temperature)?,
            distance,
        })
    }

    /// `1 − AP` of every row `[N]`.
    fn values(&self, matrix: &Tensor, pairs: &PairMask, groups: &Groups) -> Result<Tensor> {
        if has_kernel(matrix) {
            return for_element!(matrix, "matrix", |T| {
                autograd::row_values::<T>("smooth_ap", matrix, |row, x, slopes| {
                    self.of_row(x, slopes, groups.of(row), pairs.negatives(row))
                })
            });
        }
        let (positives, negatives) = mask_tensors(pairs, matrix.device())?;
        let own = Tensor::eye(pairs.queries(), DType::U8, matrix.device())?;
        let own = positives.maximum(&own)?; // [N, N]
        let mut precision = Tensor::zeros(pairs.queries(), matrix.dtype(), matrix.device())?; // [N]
        for member in groups.members(matrix) {
            let (at, share) = member?;
            let shares = shares(matrix, &at, self.temperature)?;
            // The member itself is no further above itself than below: it has ½ of the sum, and no slope.
            let among_own = (kept_sum(&shares, &own)? + 0.5)?;
            let among_all = (&among_own + kept_sum(&shares, &negatives)?)?;
            precision = (precision + ((among_own / among_all)? * share)?)?;
        }
        Ok((1.0 - precision)?)
    }

    fn of_row<T: Real>(
        &self,
        x: &[T],
        slopes: &mut [T],
        group: &[u32],
        negatives: impl Iterator<Item = u32>,
    ) -> T {
        let rank = SoftRank::new(self.temperature);
        let columns: Vec<u32> = group.iter().copied().chain(negatives).collect();
        let values: Vec<T> = columns.iter().map(|&k| x[k as usize]).collect();
        let mut shares = vec![T::ZERO; values.len()];
        let mut value_slopes = shares.clone();
        let share = 1.0 / group.len() as f64;
        let mut precision = 0.0;
        for place in 0..group.len() {
            rank.shares(&values, values[place], &mut shares);
            shares[place] = T::ZERO;
            let (own, rest) = shares.split_at_mut(group.len());
            let (own_slopes, rest_slopes) = value_slopes.split_at_mut(group.len());
            let among_own = 1.0 + sum(own);
            let among_all = among_own + sum(rest);
            precision += share * among_own / among_all;
            // The slopes of 1 − a/b: (a/b − 1)/b for what is in both, a/b² for what is in b alone.
            let (per_rank, ratio) = (share / among_all, among_own / among_all);
            let slope = |shares: &mut [T], weight: f64, slopes: &mut [T]| {
                rank.spread(shares, T::from_f64(weight), slopes)
            };
            let at = slope(own, (ratio - 1.0) * per_rank, own_slopes)
                + slope(rest, ratio * per_rank, rest_slopes);
            own_slopes[place] += T::from_f64(at);
        }
        for (&k, slope) in columns.iter().zip(value_slopes) {
            slopes[k as usize] += slope;
        }
        T::from_f64(1.0 - precision)
    }
}

impl Loss for SmoothAPLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        check::unweighted("SmoothAPLoss", batch)?;
        if let Some(terms) = batch.spoiled(&Tuples::all())? {
            return Ok(terms);
        }
        demands::no_reference("SmoothAPLoss", batch)?;
        let pairs = batch.require_relation("SmoothAPLoss")?.mask();
        let groups = Groups::new(&pairs);
        if !groups.are_even() {
            return Err(Error::Unsupported {
                component: "SmoothAPLoss",
                reason: "every class must have the same number of rows; sample so many of each",
            });
        }
        if batch.queries() == 0 {
            return Ok(Term::empty("ap_loss").into());
        }
        let values = self.values(&batch.distances(&self.distance)?, &pairs, &groups)?;
        let rows = (0..batch.queries() as u32).collect();
        Ok(term_over_rows("ap_loss", &values, rows, batch, tuples)?.into())
    }

    fn takes_reference(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
