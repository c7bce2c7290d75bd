//! Nearest-neighbour searches by name.

use std::sync::Arc;

use dml_eval::{
    CustomKNN, FlatIndex, FlatMetric, KnnIndex, QuantizedIndex, QuantizedIndexConfig, RowStorage,
};
use serde::{Deserialize, Serialize};

use super::{ConfigError, DistanceConfig, registry};

registry! {
    /// How nearest neighbours are searched for.
    pub enum KnnConfig {
        FaissKNN(FaissKNNConfig),
        CustomKNN(CustomKNNConfig),
        FlatIndex(FlatIndexConfig),
        QuantizedIndex(QuantizedIndexConfig),
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
            Self::FlatIndex(config) => {
                Arc::new(FlatIndex::with_storage(config.metric, config.storage))
            }
            Self::QuantizedIndex(config) => Arc::new(QuantizedIndex::new(config.clone())?),
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

/// Exact search by a metric, with rows kept in some precision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlatIndexConfig {
    /// What makes a reference close. Default: a small squared Euclidean distance.
    pub metric: FlatMetric,
    /// How rows are kept. Default: as given.
    pub storage: RowStorage,
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};

    #[test]
    fn indexes_by_name_find_the_nearest() {
        let rows = Tensor::new(&[[0f32, 2.], [3., 4.], [1., 0.]], &Device::Cpu).unwrap();
        for (json, nearest) in [
            (r#"{"name": "FlatIndex"}"#, 2),
            (
                r#"{"name": "FlatIndex", "metric": "Cosine", "storage": "Float16"}"#,
                1,
            ),
            (
                r#"{"name": "QuantizedIndex", "codes": "Binary", "rescore": 3}"#,
                2,
            ),
        ] {
            let index = KnnConfig::from_json(json).unwrap().build().unwrap();
            let mut index = index.to_empty();
            index.add(&rows).unwrap();
            let query = Tensor::new(&[[1f32, 1.]], &Device::Cpu).unwrap();
            assert_eq!(
                index.search(&query, 1).unwrap().indices,
                [nearest],
                "{json}"
            );
        }
        assert!(KnnConfig::from_json(r#"{"name": "QuantizedIndex", "k": 3}"#).is_err());
        let none = KnnConfig::from_json(r#"{"name": "QuantizedIndex", "rescore": 0}"#).unwrap();
        assert!(none.build().is_err());
    }
}
