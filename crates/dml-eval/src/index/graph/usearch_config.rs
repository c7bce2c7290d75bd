//! Configuration of the approximate search by a graph of neighbours.
//!
//! They are data and need no feature, so that a configuration that names the index reads, and checks its fields, in every
//! build; `UsearchIndex` itself stands behind the feature `usearch`.

use crate::index::FlatMetric;

dml_core::config! {
    /// Configuration of `UsearchIndex`, by the library's names.
    #[derive(Eq)]
    pub struct UsearchIndexConfig {
        /// What makes a reference close. Default: a small squared Euclidean distance.
        pub metric: FlatMetric = FlatMetric::default(),
        /// Neighbours of a row in the graph, 2 to 1,024. Default 16.
        pub connectivity: usize = 16,
        /// Candidates when a row is added, 1 to 1,048,576. Default 128.
        pub expansion_add: usize = 128,
        /// Candidates when a query is searched for, or as many as neighbours if these are more; 1 to 1,048,576. Default 128.
        pub expansion_search: usize = 128,
        /// Whether all threads add rows. The graph, and with it what is found, then differs from run to run. Default `false`.
        pub parallel_build: bool = false,
    }
}
