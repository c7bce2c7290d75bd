#![doc = include_str!("../README.md")]

mod custom_knn;
pub mod flat_index;
mod knn_index;
mod neighbors;

pub mod accuracy;

pub use dml_core;

pub use custom_knn::{CustomKNN, CustomKNNConfig};
pub use flat_index::{FlatIndex, FlatMetric};
pub use knn_index::{KnnIndex, OwnRow};
pub use neighbors::Neighbors;

pub use accuracy::{
    Accuracies, AccuracyCalculator, AccuracyCalculatorConfig, AccuracyMetric, NeighborCount,
    RankDepth, RankMetric, Score, with_queries_among_references,
};
