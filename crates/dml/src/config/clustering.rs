//! Clusterings by name.

use std::sync::Arc;

use dml_eval::{Clusterer, GivenClusters, KMeans, KMeansConfig};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{ConfigError, registry};

registry! {
    /// How embeddings are sorted into clusters.
    pub enum ClustererConfig {
        FaissKMeans(KMeansConfig),
        GivenClusters(GivenClustersConfig) {
            required: |sizes| {
                let labels = (0..sizes.rows).map(|row| row % sizes.num_classes.max(1));
                json!({"labels": labels.collect::<Vec<_>>()})
            },
        },
    }
}

impl Default for ClustererConfig {
    fn default() -> Self {
        Self::FaissKMeans(KMeansConfig::default())
    }
}

impl ClustererConfig {
    /// The clustering.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<Arc<dyn Clusterer>, ConfigError> {
        Ok(match self {
            Self::FaissKMeans(config) => Arc::new(KMeans::new(config.clone())?),
            Self::GivenClusters(config) => Arc::new(GivenClusters::new(&config.labels)?),
        })
    }
}

/// Clusters that are known already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenClustersConfig {
    /// The cluster of every row.
    pub labels: Vec<i64>,
}
