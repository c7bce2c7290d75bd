//! Triplets by how much farther the negative is than the positive.
//!
//! ```text
//! g = h(a,n) − h(a,p)          h: the distance; for similarities its negative
//! all       g <= margin
//! hard      g <= margin and g <= 0
//! semihard  0 < g <= margin
//! easy      g > margin
//! ```
//!
//! Semihard negatives are those of Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face
//! Recognition and Clustering" (2015, arXiv:1503.03832). No triplet is written out: for each anchor and positive the
//! chosen negatives are an interval of the anchor's negatives in order of distance (`TripletRanges` of the kernels), at
//! `O(N² log N)` time and `O(N²)` memory.

use std::str::FromStr;
use std::sync::Arc;

use dml_core::kernels::triplet_ranges::GapInterval;
use dml_core::tuples::{DeviceTriplets, triplet_ranges};
use dml_core::{Batch, Distance, Error, Miner, Result, Tuples, check};

/// Which triplets within or outside of the margin are chosen ([conditions](self)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum TripletType {
    /// Every triplet that violates the margin.
    #[default]
    All,
    /// The negative is as close as the positive, or closer.
    Hard,
    /// The negative is farther than the positive, but not by more than the margin.
    Semihard,
    /// The negative is farther than the positive by more than the margin.
    Easy,
}

impl FromStr for TripletType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "all" => Ok(Self::All),
            "hard" => Ok(Self::Hard),
            "semihard" => Ok(Self::Semihard),
            "easy" => Ok(Self::Easy),
            _ => Err(Error::unsupported(
                "type_of_triplets",
                "expected one of all, hard, semihard and easy",
            )),
        }
    }
}

impl TripletType {
    fn interval(self, margin: f64) -> GapInterval {
        let (above, at_most) = match self {
            Self::All => (None, Some(margin)),
            Self::Hard => (None, Some(margin.min(0.0))),
            Self::Semihard => (Some(0.0), Some(margin)),
            Self::Easy => (Some(margin), None),
        };
        GapInterval { above, at_most }
    }
}

dml_core::config! {
    /// Configuration of [`TripletMarginMiner`].
    pub struct TripletMarginMinerConfig {
        /// The margin, in units of the distance; in `[-1e30, 1e30]`. Default `0.2`.
        pub margin: f64 = 0.2,
        /// Which triplets are chosen. Default [`TripletType::All`].
        pub type_of_triplets: TripletType = TripletType::All,
    }
}

/// Chooses triplets by the gap between negative and positive ([conditions](self)).
#[derive(Clone, Debug)]
pub struct TripletMarginMiner {
    interval: GapInterval,
    distance: Arc<dyn Distance>,
}

impl TripletMarginMiner {
    /// A miner over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if the margin is not finite.
    pub fn new(
        config: TripletMarginMinerConfig,
        distance: impl Distance + 'static,
    ) -> Result<Self> {
        let margin = check::finite("margin", config.margin)?;
        Ok(Self {
            interval: config.type_of_triplets.interval(margin),
            distance: Arc::new(distance),
        })
    }
}

impl Miner for TripletMarginMiner {
    fn mine(&self, batch: &Batch) -> Result<Tuples> {
        let relation = batch.require_relation("TripletMarginMiner")?;
        if batch.is_spoiled()? {
            return Ok(Tuples::all());
        }
        let matrix = batch.detach().distances(&self.distance)?; // [Q, R]
        // Where kernels can select from the matrix, it stays where it is.
        if DeviceTriplets::fits(&matrix) {
            let order = self.distance.order();
            return Ok(DeviceTriplets::new(&matrix, order, self.interval, relation)?.into());
        }
        let ranges = triplet_ranges(&matrix, self.distance.order(), self.interval, |q, p, n| {
            relation.split(q, p, n);
        })?;
        Ok(Tuples::from_set(ranges))
    }
}

#[cfg(test)]
mod tests;
