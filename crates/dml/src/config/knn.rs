//! Nearest-neighbour searches by name.

use std::sync::Arc;

use dml_eval::{
    CustomKNN, FlatIndex, FlatMetric, KnnIndex, QuantizedIndex, QuantizedIndexConfig, RowStorage,
    UsearchIndexConfig,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{ConfigError, DistanceConfig, registry};

registry! {
    /// How nearest neighbours are searched for.
    pub enum KnnConfig {
        FaissKNN(FaissKNNConfig),
        CustomKNN(CustomKNNSpec) {
            required: |_| json!({"distance": {"name": "LpDistance", "p": 1}}),
            examples: |_| json!([{"batch_size": 3}]),
        },
        FlatIndex(FlatIndexConfig),
        QuantizedIndex(QuantizedIndexConfig),
        UsearchIndex(UsearchIndexConfig) { is_available: cfg!(feature = "usearch") },
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
    /// [`ConfigError::Component`] for arguments outside of their range, and for a `UsearchIndex` in a build without the
    /// feature `usearch`.
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
            Self::UsearchIndex(config) => usearch(config)?,
        })
    }
}

#[cfg(feature = "usearch")]
fn usearch(config: &UsearchIndexConfig) -> dml_core::Result<Arc<dyn KnnIndex>> {
    Ok(Arc::new(dml_eval::UsearchIndex::new(config.clone())?))
}

/// No other index takes its place: it would be slower or find something else, and nobody would know why.
#[cfg(not(feature = "usearch"))]
fn usearch(_: &UsearchIndexConfig) -> dml_core::Result<Arc<dyn KnnIndex>> {
    Err(dml_core::Error::unsupported(
        "UsearchIndex",
        "this build has no approximate search: turn on the feature `usearch` of `dml`, which builds C++17",
    ))
}

dml_core::config! {
    serde always:
    /// Exact search by squared Euclidean distance or inner product.
    #[derive(Eq)]
    pub struct FaissKNNConfig {
        /// Whether a search begins with an empty index. Here an index holds what was added to it, and who wants an empty
        /// one makes one. Default `true`.
        pub reset_before: bool = true,
        /// Whether a search leaves an empty index behind. Default `true`.
        pub reset_after: bool = true,
        /// The kind of index. Default: squared Euclidean distance.
        pub index_init_fn: Option<FaissIndex> = None,
        /// PML's choice of GPUs, which plays no part: queries on a CUDA device are searched there, all others on the CPU.
        pub gpus: Option<Vec<u32>> = None,
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

dml_core::config! {
    serde always:
    /// Exact search by any distance.
    pub struct CustomKNNSpec {
        /// The distance.
        pub distance: DistanceConfig;
        /// Queries that are compared at a time. Default: as many as memory is well used by.
        pub batch_size: Option<usize> = None,
    }
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

    #[test]
    fn arguments_of_the_graph_are_read_in_every_build() {
        let text = r#"{"name": "UsearchIndex", "metric": "Cosine", "expansion_search": 64}"#;
        let config = KnnConfig::from_json(text).unwrap();
        let KnnConfig::UsearchIndex(arguments) = &config else {
            panic!("{} is another index", config.name());
        };
        assert_eq!(
            (arguments.connectivity, arguments.expansion_search),
            (16, 64)
        );
        assert!(KnnConfig::from_json(r#"{"name": "UsearchIndex", "ef": 3}"#).is_err());
    }

    #[cfg(not(feature = "usearch"))]
    #[test]
    fn without_the_feature_the_graph_is_refused_by_the_name_of_the_feature() {
        let error = KnnConfig::from_json("UsearchIndex").unwrap().build();
        let error = error.unwrap_err();
        assert!(matches!(
            error,
            ConfigError::Component(dml_core::Error::Unsupported {
                component: "UsearchIndex",
                ..
            })
        ));
        assert!(error.to_string().contains("feature `usearch`"), "{error}");
    }

    #[cfg(feature = "usearch")]
    #[test]
    fn the_graph_finds_the_nearest_and_its_arguments_are_checked() {
        let index = KnnConfig::from_json("UsearchIndex").unwrap().build();
        let mut index = index.unwrap().to_empty();
        let rows = Tensor::new(&[[0f32, 2.], [3., 4.], [1., 0.]], &Device::Cpu).unwrap();
        index.add(&rows).unwrap();
        let query = Tensor::new(&[[1f32, 1.]], &Device::Cpu).unwrap();
        assert_eq!(index.search(&query, 2).unwrap().indices, [2, 0]);
        let text = r#"{"name": "UsearchIndex", "connectivity": 1}"#;
        assert!(KnnConfig::from_json(text).unwrap().build().is_err());
    }
}
