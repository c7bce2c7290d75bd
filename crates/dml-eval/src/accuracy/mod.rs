//! How well the nearest neighbours of a query share its class.

mod calculator;
pub mod metric;
mod own_rows;
mod relevance;
mod score;

pub use calculator::{AccuracyCalculator, AccuracyCalculatorConfig, NeighborCount};
pub use metric::{AccuracyMetric, RankDepth, RankMetric};
pub use own_rows::with_queries_among_references;
pub use score::{Accuracies, Score};
