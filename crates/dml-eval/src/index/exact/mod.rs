//! Exact search: every reference is accounted for.

mod custom_knn;
pub mod flat_index;
mod float16_rows;

pub use custom_knn::{CustomKNN, CustomKNNConfig};
pub use flat_index::{FlatIndex, FlatMetric, RowStorage};
