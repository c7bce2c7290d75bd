#![doc = include_str!("../README.md")]

mod triplet_margin_miner;

pub use dml_core;

pub use triplet_margin_miner::{TripletMarginMiner, TripletMarginMinerConfig, TripletType};

#[cfg(test)]
mod example_distance;
