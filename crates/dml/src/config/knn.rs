//! Nearest-neighbour searches by name.

use std::sync::Arc;

use dml_eval::{CustomKNN, FlatIndex, FlatMetric, KnnIndex};
use serde::{Deserialize, Serialize};

use super::{ConfigError, DistanceConfig, registry};

registry! {
    /// How nearest neighbours are searched for.
    pub enum KnnConfig {
        FaissKNN(FaissKNNConfig),
        CustomKNN(CustomKNNConfig),
    }
}

impl Default for KnnConfig {
    fn default() -> Self {
        Self::FaissKNN(FaissKNNConfig::default())
    }
}

impl KnnConfig {
    /// The search, without references.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<Arc<dyn KnnIndex>, ConfigError> {
        Ok(match self {
            Self::FaissKNN(config) => Arc::new(FlatIndex::new(match config.index_init_fn {
                None | Some(FaissIndex::IndexFlatL2) => FlatMetric::SquaredEuclidean,
                Some(FaissIndex::IndexFlatIP) => FlatMetric::InnerProduct,
            })),
            Self::CustomKNN(config) => {
                let own = dml_eval::CustomKNNConfig {
                    batch_size: config.batch_size,
                };
                Arc::new(CustomKNN::new(own, config.distance.build()?)?)
            }
        })
    }
}

/// Exact search by squared Euclidean distance or inner product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaissKNNConfig {
    /// Whether a search begins with an empty index. Here an index holds what was added to it, and who wants an empty
    /// one makes one. Default `true`.
    pub reset_before: bool,
    /// Whether a search leaves an empty index behind. Default `true`.
    pub reset_after: bool,
    /// The kind of index. Default: squared Euclidean distance.
    pub index_init_fn: Option<FaissIndex>,
    /// The GPUs to use, of which there are none here: searches run on the CPU.
    pub gpus: Option<Vec<u32>>,
}

impl Default for FaissKNNConfig {
    fn default() -> Self {
        Self {
            reset_before: true,
            reset_after: true,
            index_init_fn: None,
            gpus: None,
        }
    }
}

/// The exact indexes of faiss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaissIndex {
    /// By squared Euclidean distance, smallest first.
    IndexFlatL2,
    /// By inner product, largest first.
    IndexFlatIP,
}

/// Exact search by any distance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomKNNConfig {
    /// The distance.
    pub distance: DistanceConfig,
    /// Queries that are compared at a time. Default: as many as memory is well used by.
    #[serde(default)]
    pub batch_size: Option<usize>,
}
