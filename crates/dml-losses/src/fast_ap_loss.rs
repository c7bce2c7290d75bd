//! `FastAP` loss: average precision of each row's ranking, counted in bins of distance.
//!
//! ```text
//! h⁺_b, h_b: how many positives, and how many rows at all, lie at bin b (a distance between two bins counts for both)
//! H: running sums over the bins
//! FastAP_i = Σ_b h⁺_b · H⁺_b / H_b / |P_i|
//! ℓ_i = (1 − FastAP_i) · w_i
//! ```
//!
//! Distances of normalised rows raised to a power lie between 0 and 2^power: bins `0..=num_bins` divide that. `w` is how
//! often the tuples name a row, at most 1: tuples choose no pairs here. Rows without a positive are left out.
//!
//! Cakir, He, Xia, Kulis and Sclaroff, "Deep Metric Learning to Rank" (CVPR 2019).
//!
//! `O(N²)` time; beside the matrix of distances only `N · num_bins` numbers.

use std::sync::Arc;

use candle_core::Tensor;
use dml_core::kernels::PairMask;
use dml_core::kernels::soft_histogram::SoftBins;
use dml_core::{Batch, Distance, Loss, Result, TensorExt, Term, Terms, Tuples, check};

use crate::demands;
use crate::row_terms::term_over_rows;

/// Knobs of [`FastAPLoss`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct FastAPLossConfig {
    /// Into how many steps the range of distances is divided; at least 1. Default `10`.
    pub num_bins: usize,
}

impl Default for FastAPLossConfig {
    fn default() -> Self {
        Self { num_bins: 10 }
    }
}

/// One minus the average precision in bins ([formula](self)). One term `loss`, per row that has a positive.
#[derive(Clone, Debug)]
pub struct FastAPLoss {
    bins: SoftBins,
    distance: Arc<dyn Distance>,
}

impl FastAPLoss {
    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if there are no bins,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) unless the distance is the Euclidean one of normalised rows,
    /// to any power.
    pub fn new(config: FastAPLossConfig, distance: Arc<dyn Distance>) -> Result<Self> {
        let bins = check::at_least_one("num_bins", config.num_bins)?;
        let power = demands::unit_euclidean_power("FastAPLoss", &distance)?;
        Ok(Self {
            bins: SoftBins::new(0.0, 2f64.powf(power) / bins as f64, bins),
            distance,
        })
    }

    /// `FastAP` of every row `[N]`; 0 for a row without positives.
    fn precision(&self, matrix: &Tensor, pairs: &PairMask) -> Result<Tensor> {
        let (positives, negatives) = matrix.soft_histograms(pairs, self.bins)?; // [N, bins + 1]
        let found = positives.cumsum(1)?;
        let seen = (&positives + negatives)?.cumsum(1)?;
        // Before the first row nothing is found either: 0, whatever it is divided by.
        let seen = seen.gt(0f64)?.where_cond(&seen, &seen.ones_like()?)?;
        let counts: Vec<f64> = (0..pairs.queries())
            .map(|q| pairs.positives(q).count().max(1) as f64)
            .collect();
        let counts = Tensor::new(counts, matrix.device())?.to_dtype(matrix.dtype())?;
        let found = ((positives * found)? / seen)?.sum(1)?;
        Ok((found / counts)?)
    }
}

impl Loss for FastAPLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        demands::no_reference("FastAPLoss", batch)?;
        let pairs = batch.require_relation("FastAPLoss")?.mask();
        let rows = pairs.rows_with_positives();
        if rows.is_empty() {
            return Ok(Term::empty("loss").into());
        }
        let matrix = batch.distances(&self.distance)?; // [N, N]
        let values = (1.0 - self.precision(&matrix, &pairs)?)?;
        Ok(term_over_rows("loss", &values, rows, batch, tuples)?.into())
    }

    fn takes_reference(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
