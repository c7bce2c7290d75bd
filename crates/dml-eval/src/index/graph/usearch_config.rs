//! Configuration of the approximate search by a graph of neighbours.
//!
//! They are data and need no feature, so that a configuration that names the index reads, and checks its fields, in every
//! build; `UsearchIndex` itself stands behind the feature `usearch`.

use crate::index::FlatMetric;

/// Configuration of `UsearchIndex`, by the library's names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct UsearchIndexConfig {
    /// What makes a reference close. Default: a small squared Euclidean distance.
    pub metric: FlatMetric,
    /// Neighbours of a row in the graph, 2 to 1,024. Default 16.
    pub connectivity: usize,
    /// Candidates when a row is added, 1 to 1,048,576. Default 128.
    pub expansion_add: usize,
    /// Candidates when a query is searched for, or as many as neighbours if these are more; 1 to 1,048,576. Default 128.
    pub expansion_search: usize,
    /// Whether all threads add rows. The graph, and with it what is found, then differs from run to run. Default `false`.
    pub parallel_build: bool,
}

impl Default for UsearchIndexConfig {
    fn default() -> Self {
        Self {
            metric: FlatMetric::default(),
            connectivity: 16,
            expansion_add: 128,
            expansion_search: 128,
            parallel_build: false,
        }
    }
}
