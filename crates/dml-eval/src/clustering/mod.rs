//! How well clusters of embeddings agree with classes, and making clusters.

mod clusterer;
mod confusion;
pub mod contingency;
mod expected_information;
mod kmeans;
mod metric;

pub use clusterer::{Clusterer, GivenClusters};
pub use confusion::Confusion;
pub use contingency::{BCubed, Contingency};
pub use kmeans::{KMeans, KMeansConfig, KMeansStart, RowClusters};
pub use metric::{ClusterAgreement, ClusterMetric};
