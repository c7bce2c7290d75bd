//! Distances by name.

use std::sync::Arc;

use dml_core::Distance;
use dml_distances::{
    BatchedDistance, CosineSimilarity, CosineSimilarityConfig, DotProductSimilarity,
    DotProductSimilarityConfig, HammingDistance, LpDistance, LpDistanceConfig, SNRDistance,
    SNRDistanceConfig,
};
use serde::{Deserialize, Serialize};

use super::{ConfigError, NoArguments, registry};

registry! {
    /// A distance and its arguments.
    pub enum DistanceConfig {
        CosineSimilarity(CosineSimilarityConfig),
        DotProductSimilarity(DotProductSimilarityConfig),
        LpDistance(LpDistanceConfig),
        SNRDistance(SNRDistanceConfig),
        BatchedDistance(BatchedDistanceConfig),
        HammingDistance(NoArguments),
    }
}

impl DistanceConfig {
    /// The distance that was asked for, or the default.
    pub(super) fn build_or(
        asked: Option<&Self>,
        default: impl FnOnce() -> Arc<dyn Distance>,
    ) -> Result<Arc<dyn Distance>, ConfigError> {
        asked.map_or_else(|| Ok(default()), Self::build)
    }

    /// The distance.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<Arc<dyn Distance>, ConfigError> {
        Ok(match self {
            Self::CosineSimilarity(config) => Arc::new(CosineSimilarity::new(config.clone())?),
            Self::DotProductSimilarity(config) => {
                Arc::new(DotProductSimilarity::new(config.clone())?)
            }
            Self::LpDistance(config) => Arc::new(LpDistance::new(config.clone())?),
            Self::SNRDistance(config) => Arc::new(SNRDistance::new(config.clone())?),
            Self::BatchedDistance(config) => Arc::new(config.build_blocks()?),
            Self::HammingDistance(_) => Arc::new(HammingDistance),
        })
    }
}

/// Another distance, block by block of query rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchedDistanceConfig {
    /// The distance within a block.
    pub distance: Box<DistanceConfig>,
    /// Query rows of a block. Default 32.
    #[serde(default = "default_batch_size")]
    pub batch_size: usize,
}

fn default_batch_size() -> usize {
    dml_distances::BatchedDistanceConfig::default().batch_size
}

impl BatchedDistanceConfig {
    /// The distance with its method that hands out the blocks.
    ///
    /// # Errors
    /// As [`DistanceConfig::build`].
    pub fn build_blocks(&self) -> Result<BatchedDistance, ConfigError> {
        let config = dml_distances::BatchedDistanceConfig {
            batch_size: self.batch_size,
        };
        Ok(BatchedDistance::new(config, self.distance.build()?)?)
    }
}
