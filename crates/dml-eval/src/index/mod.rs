//! Nearest-neighbour search: exactly, by short codes, or by a graph; and indexes as files.

pub mod collection;
pub mod exact;
pub mod file;
pub mod graph;
mod knn_index;
mod load;
pub mod quantized_index;
mod row_set;
mod scale;
mod self_match;
#[cfg(test)]
mod tests;

pub use collection::{
    AttributeInfo, Attributes, Collection, CollectionError, CollectionSummary, Column, DamagedLog,
    Durability, Filter, FilterSyntaxError, FolderSummary, Hit, Id, IdKind, IdRef, Ids, Item,
    ItemRef, Items, OpenOptions, Search, Selection, Storage, Upserted, Value, ValueKind,
};
pub use exact::{CustomKNN, CustomKNNConfig, FlatIndex, FlatMetric, RowStorage};
pub use file::{FileCheck, IndexFileError};
#[cfg(feature = "usearch")]
pub use graph::UsearchIndex;
pub use graph::UsearchIndexConfig;
pub use knn_index::KnnIndex;
pub use load::{load_index, load_index_mapped};
pub use quantized_index::{Codes, QuantizedIndex, QuantizedIndexConfig};
pub use row_set::RowSet;
pub use self_match::SelfMatch;

pub use crate::kernels::nearest::{Neighbors, NeighborsWithin};
