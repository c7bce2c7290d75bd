//! Losses over triplets of an anchor, a positive and a negative.

mod triplets_per_anchor;

pub mod angular_loss;
pub mod centroid_triplet_loss;
pub mod dynamic_soft_margin_loss;
pub mod margin_loss;
pub mod triplet_margin_loss;

pub use angular_loss::{AngularLoss, AngularLossConfig};
pub use centroid_triplet_loss::{CentroidTripletLoss, CentroidTripletLossConfig};
pub use dynamic_soft_margin_loss::{DynamicSoftMarginLoss, DynamicSoftMarginLossConfig};
pub use margin_loss::{MarginLoss, MarginLossConfig};
pub use triplet_margin_loss::{TripletMarginLoss, TripletMarginLossConfig};
pub use triplets_per_anchor::TripletsPerAnchor;
