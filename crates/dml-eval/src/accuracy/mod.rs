//! How well the nearest neighbours of a query share its class.

pub mod bootstrap;
mod calculator;
mod label_relation;
mod metric;
mod named;
pub mod query_gallery;
mod relevance;
pub mod retrieval;
mod score;
mod self_matches;

pub use bootstrap::{BootstrapConfig, ConfidenceInterval, confidence_interval};
pub use calculator::{AccuracyCalculator, AccuracyCalculatorConfig, NeighborCount};
pub use label_relation::LabelRelation;
pub use metric::{RankDepth, RankMetric};
pub use named::AccuracyMetric;
pub use query_gallery::{JUNK, query_gallery_relation};
pub use retrieval::RetrievalMetric;
pub use score::{Accuracies, Score};
pub use self_matches::with_queries_among_references;
