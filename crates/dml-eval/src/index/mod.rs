//! Nearest-neighbour search: exactly, by short codes, or by a graph; and indexes as files.

pub mod exact;
pub mod file;
pub mod graph;
mod knn_index;
mod load;
pub mod quantized_index;
mod scale;
mod self_match;
#[cfg(test)]
mod tests;

pub use exact::{CustomKNN, CustomKNNConfig, FlatIndex, FlatMetric, RowStorage};
pub use file::IndexFileError;
#[cfg(feature = "usearch")]
pub use graph::UsearchIndex;
pub use graph::UsearchIndexConfig;
pub use knn_index::KnnIndex;
pub use load::load_index;
pub use quantized_index::{Codes, QuantizedIndex, QuantizedIndexConfig};
pub use self_match::SelfMatch;

pub use crate::kernels::nearest::{Neighbors, NeighborsWithin};
