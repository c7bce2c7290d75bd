#![doc = include_str!("../README.md")]

mod seeded_vars;
mod triplets_per_anchor;
pub mod weight_init;

pub mod triplet_margin_loss;

pub use candle_nn;
pub use dml_core;

pub use seeded_vars::SeededVars;
pub use triplets_per_anchor::TripletsPerAnchor;
pub use weight_init::WeightInit;

pub use triplet_margin_loss::{TripletMarginLoss, TripletMarginLossConfig};
