//! Histogram loss: the probability that a random negative pair is more alike than a random positive pair.
//!
//! ```text
//! p⁺, p⁻: histograms of the similarities of positive and of negative pairs, each with sum 1
//! ℓ = Σ_b p⁻_b · Σ_{c <= b} p⁺_c
//! ```
//!
//! The nodes lie from −1 to 1, `delta = 2 / n_bins` apart; a similarity between two nodes counts for both, more for the
//! nearer one. The pairs are those of the triplets, each once, whichever row is the anchor.
//!
//! Ustinova and Lempitsky, "Learning Deep Embeddings with Histogram Loss" (NIPS 2016, arXiv:1611.00822).
//!
//! `O(N²)` time and memory: no triplet is written out. Rows that point the same way have similarity 1 and belong to the
//! last node. (PyTorch Metric Learning looks for a node behind it and fails.)

use std::sync::Arc;

use dml_core::kernels::PairMask;
use dml_core::kernels::soft_histogram::SoftBins;
use dml_core::{Batch, Distance, Loss, Order, Result, Term, Terms, Tuples, check};

use crate::machinery::requirements;
use crate::machinery::soft_histograms::soft_histograms;

/// Configuration of [`HistogramLoss`].
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct HistogramLossConfig {
    /// Into how many bins the range from −1 to 1 is divided; 1 to 65,536. Default 100, or what `delta` says.
    pub n_bins: Option<usize>,
    /// How wide a bin is, in `[2 / 65536, 2]`; `2 / n_bins` if both are given. Default `2 / n_bins`.
    pub delta: Option<f64>,
}

/// Overlap of the histograms of similarities ([formula](self)). One term `loss`, a scalar.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::CosineSimilarity;
/// use dml_losses::{HistogramLoss, HistogramLossConfig};
///
/// let config = HistogramLossConfig { n_bins: Some(2), ..Default::default() };
/// let loss = HistogramLoss::new(config, CosineSimilarity::default())?;
/// let embeddings = Tensor::new(&[[1f64, 0.], [0.6, 0.8], [0., 1.]], &Device::Cpu)?;
/// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
/// // Nodes −1, 0, 1. The positive pair at 0.6: 0, 0.4, 0.6. The negative pairs at 0 and 0.8: 0, 0.6, 0.4.
/// let value = terms.get("loss").unwrap().values()?.0.to_scalar::<f64>()?;
/// assert!((value - (0.6 * 0.4 + 0.4 * 1.)).abs() < 1e-12);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HistogramLoss {
    bins: SoftBins,
    distance: Arc<dyn Distance>,
}

impl HistogramLoss {
    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if there are no bins, or if the arguments
    /// contradict each other; [`Error::Unsupported`](dml_core::Error::Unsupported) unless the distance is a similarity.
    pub fn new(config: HistogramLossConfig, distance: impl Distance + 'static) -> Result<Self> {
        let expected = "a number in [2 / 65536, 2]; 2 / n_bins if both are given";
        let bins = check::count("n_bins", config.n_bins.unwrap_or(100), check::MOST_BINS)?;
        let of_bins = 2.0 / bins as f64;
        let delta = config.delta.unwrap_or(of_bins);
        let agree = config.n_bins.is_none() || (delta - of_bins).abs() <= 1e-9 * of_bins;
        let narrowest = 2.0 / check::MOST_BINS as f64;
        let fits = (narrowest..=2.0).contains(&delta) && agree;
        check::parameter(fits, "delta", delta, expected)?;
        let reason = "it counts similarities from -1 to 1, not distances";
        let fits = distance.order() != Order::SmallerIsCloser;
        check::supported(fits, "HistogramLoss", reason)?;
        Ok(Self {
            bins: SoftBins::new(-1.0, delta, (2.0 / delta).round_ties_even() as usize),
            distance: Arc::new(distance),
        })
    }
}

/// The pairs of the triplets that `tuples` stand for, each once with the smaller row first.
fn pairs_of_triplets(batch: &Batch, tuples: &Tuples) -> Result<PairMask> {
    let chosen = tuples.pair_sets(batch)?;
    Ok(chosen.unordered(|q| {
        chosen.positives(q).next().is_some() && chosen.negatives(q).next().is_some()
    }))
}

impl Loss for HistogramLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        requirements::check(self, "HistogramLoss", batch, tuples)?;
        if let Some(terms) = batch.spoiled(tuples)? {
            return Ok(terms);
        }
        let pairs = pairs_of_triplets(batch, tuples)?;
        let (positive, negative) = pairs.counts();
        if positive == 0 || negative == 0 {
            return Ok(Term::empty("loss").into());
        }
        let matrix = batch.distances(&self.distance)?; // [N, N]
        let (positives, negatives) = soft_histograms(&matrix, &pairs, self.bins)?;
        let positives = (positives.sum(0)? / positive as f64)?; // [nodes]
        let negatives = (negatives.sum(0)? / negative as f64)?;
        let overlap = (negatives * positives.cumsum(0)?)?.sum_all()?;
        Ok(Term::scalar("loss", overlap)?.into())
    }

    fn takes_reference(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
