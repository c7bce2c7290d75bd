//! Distances by name.

use std::sync::Arc;

use dml_core::Distance;
use dml_distances::{
    CosineSimilarity, CosineSimilarityConfig, DotProductSimilarity,
    DotProductSimilarityConfig, LpDistance, LpDistanceConfig,
};

use super::{ConfigError, registry};

registry! {
    /// A distance and its arguments.
    pub enum DistanceConfig {
        CosineSimilarity(CosineSimilarityConfig),
        DotProductSimilarity(DotProductSimilarityConfig),
        LpDistance(LpDistanceConfig),
    }
}

impl DistanceConfig {
    /// The distance.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<Arc<dyn Distance>, ConfigError> {
        Ok(match self {
            Self::CosineSimilarity(config) => Arc::new(CosineSimilarity::new(config.clone())?),
            Self::DotProductSimilarity(config) => Arc::new(DotProductSimilarity::new(config.clone())?),
            Self::LpDistance(config) => Arc::new(LpDistance::new(config.clone())?),
        })
    }
}

