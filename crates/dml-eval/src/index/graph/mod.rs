//! Approximate search by a graph of neighbours.

mod usearch_config;
#[cfg(feature = "usearch")]
pub mod usearch_index;

pub use usearch_config::UsearchIndexConfig;
#[cfg(feature = "usearch")]
pub use usearch_index::UsearchIndex;
