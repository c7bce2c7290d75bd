#![doc = include_str!("../README.md")]

mod triplets_per_anchor;

pub mod triplet_margin_loss;

pub use dml_core;

pub use triplets_per_anchor::TripletsPerAnchor;

pub use triplet_margin_loss::{TripletMarginLoss, TripletMarginLossConfig};
