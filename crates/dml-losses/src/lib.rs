#![doc = include_str!("../README.md")]

mod demands;
#[cfg(test)]
mod outcome;
mod row_terms;
mod seeded_vars;
mod soft_rank;
mod triplets_per_anchor;
pub mod weight_init;

pub mod fast_ap_loss;
pub mod histogram_loss;
pub mod instance_loss;
pub mod nca_loss;
pub mod pnp_loss;
pub mod ranked_list_loss;
pub mod smooth_ap_loss;
pub mod triplet_margin_loss;

pub use candle_nn;
pub use dml_core;

pub use seeded_vars::SeededVars;
pub use triplets_per_anchor::TripletsPerAnchor;
pub use weight_init::WeightInit;

pub use fast_ap_loss::{FastAPLoss, FastAPLossConfig};
pub use histogram_loss::{HistogramLoss, HistogramLossConfig};
pub use instance_loss::{InstanceLoss, InstanceLossConfig};
pub use nca_loss::{NCALoss, NCALossConfig};
pub use pnp_loss::{PNPLoss, PNPLossConfig, PNPVariant};
pub use ranked_list_loss::{RankedListLoss, RankedListLossConfig};
pub use smooth_ap_loss::{SmoothAPLoss, SmoothAPLossConfig};
pub use triplet_margin_loss::{TripletMarginLoss, TripletMarginLossConfig};
