//! Triplet margin loss: the negative should be farther from the anchor than the positive, by a margin.
//!
//! ```text
//! v = h(a,p) − h(a,n) + margin          h: the distance; for similarities its negative
//! ℓ = max(0, v)                         smooth_loss: ln(1 + eᵛ)
//! swap: h(a,n) is replaced by min(h(a,n), h(p,n))
//! ```
//!
//! Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering" (2015,
//! arXiv:1503.03832); the swap is from Balntas, Riba, Ponsa and Mikolajczyk, "Learning local feature descriptors with
//! triplets and shallow convolutional neural networks" (BMVC 2016).
//!
//! Triplets that come as a set (all of the batch, pairs, or what a miner chose) are summed without being written out,
//! `O(N² log N)` time and `O(N²)` memory; with `swap` each is visited, still without being stored. A list of triplets
//! is taken as it is, repeats included. Positives and negatives are reference rows, so with a reference set the swap
//! compares references with references. (PyTorch Metric Learning compares rows of the batch there.)

mod on_device;
mod triplet_sum;

use std::sync::Arc;

use dml_core::{Batch, Distance, Loss, Over, Result, SeedSequence, Term, Terms, Tuples};

use crate::TripletsPerAnchor;
use crate::machinery::requirements;
use crate::machinery::triplet_cost::TripletCost;
use crate::machinery::triplet_form::TripletForm;
use on_device::DeviceSet;
use triplet_sum::TripletSum;

dml_core::config! {
    /// Configuration of [`TripletMarginLoss`].
    pub struct TripletMarginLossConfig {
        /// The margin, in units of the distance; in `[-1e30, 1e30]`. Default `0.05`.
        pub margin: f64 = 0.05,
        /// Whether the positive's distance to the negative counts where it is the smaller one. Default `false`.
        pub swap: bool = false,
        /// Whether a violation costs `ln(1 + eᵛ)` instead of `max(0, v)`. Default `false`.
        pub smooth_loss: bool = false,
        /// How many triplets of each anchor are looked at when no tuples are given. Default all.
        pub triplets_per_anchor: TripletsPerAnchor = TripletsPerAnchor::All,
        /// Where the random triplets come from: successive calls draw differently, runs of one seed alike. Default `0`.
        pub seed: u64 = 0,
    }
}

/// Triplet hinge or softplus with margin ([formula](self)). One term `loss`, per triplet.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::LpDistance;
/// use dml_losses::{TripletMarginLoss, TripletMarginLossConfig};
///
/// let config = TripletMarginLossConfig { margin: 0.5, ..Default::default() };
/// let loss = TripletMarginLoss::new(config, LpDistance::unnormalized())?;
/// let embeddings = Tensor::new(&[[0f64], [2.], [3.]], &Device::Cpu)?;
/// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
/// // Row 0: 2 − 3 + 0.5 is below 0. Row 1: 2 − 1 + 0.5.
/// let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?;
/// assert_eq!(values, [0., 1.5]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TripletMarginLoss {
    cost: TripletCost,
    swap: bool,
    triplets_per_anchor: TripletsPerAnchor,
    seeds: SeedSequence,
    distance: Arc<dyn Distance>,
}

impl TripletMarginLoss {
    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if the margin is not finite or no triplet per
    /// anchor is asked for.
    pub fn new(config: TripletMarginLossConfig, distance: impl Distance + 'static) -> Result<Self> {
        Ok(Self {
            cost: TripletCost::new(config.margin, config.smooth_loss)?,
            swap: config.swap,
            triplets_per_anchor: config.triplets_per_anchor.checked()?,
            seeds: SeedSequence::new(config.seed),
            distance: Arc::new(distance),
        })
    }
}

impl Loss for TripletMarginLoss {
    fn seeds(&self) -> Vec<SeedSequence> {
        vec![self.seeds.handle()]
    }

    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        requirements::check(self, "TripletMarginLoss", batch, tuples)?;
        if let Some(terms) = batch.spoiled(tuples)? {
            return Ok(terms);
        }
        let chosen = self.triplets_per_anchor;
        let tuples = chosen.of("TripletMarginLoss", batch, tuples, &self.seeds)?;
        let matrix = batch.distances(&self.distance)?; // [Q, R]
        let inside = match batch.reference() {
            _ if !self.swap => None,
            None => Some(matrix.clone()),
            Some(reference) => Some(self.distance.matrix(reference, None)?), // [R, R]
        };
        let on_device = DeviceSet::of(&tuples, batch, &matrix)?;
        let set = match &on_device {
            Some(_) => None,
            None => TripletForm::of(&tuples, batch, &matrix, self.distance.order())?,
        };
        let sum = TripletSum {
            cost: self.cost,
            distance: self.distance.clone(),
            matrix,
            inside,
            batch: batch.clone(),
            tuples,
        };
        let implicit = |values| Term::implicit("loss", Over::Triplets, values);
        let term = match (on_device, set) {
            (Some(set), _) => implicit(Arc::new(sum.on_device(set))),
            (None, Some(set)) => implicit(Arc::new(sum.over(set))),
            (None, None) => sum.explicit("loss")?,
        };
        Ok(term.into())
    }
}

#[cfg(test)]
mod tests;
