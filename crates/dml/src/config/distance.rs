//! Distances by name.

use std::sync::Arc;

use candle_core::{Tensor, Var};
use candle_nn::{Init, VarBuilder};
use dml_core::{Distance, Error, check};
use dml_distances::{
    BatchedDistance, CosineSimilarity, CosineSimilarityConfig, DotProductSimilarity,
    DotProductSimilarityConfig, HammingDistance, LpDistance, LpDistanceConfig, MahalanobisDistance,
    MahalanobisDistanceConfig, SNRDistance, SNRDistanceConfig,
};
use serde_json::json;

use super::{ConfigError, NoArguments, registry};

registry! {
    /// A distance and its arguments.
    pub enum DistanceConfig {
        CosineSimilarity(CosineSimilarityConfig),
        DotProductSimilarity(DotProductSimilarityConfig),
        LpDistance(LpDistanceConfig),
        SNRDistance(SNRDistanceConfig),
        BatchedDistance(BatchedDistanceSpec) {
            required: |_| json!({"distance": {"name": "LpDistance"}}),
            examples: |_| json!([{"batch_size": 5}]),
        },
        HammingDistance(NoArguments),
        MahalanobisDistance(MahalanobisDistanceConfig) {
            required: |sizes| json!({"embedding_size": sizes.embedding_size}),
            examples: |_| json!([{}, {"rank": 2}]),
        },
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
    /// [`ConfigError::Component`] for arguments outside of their range, and for a distance that learns: the caller
    /// would have no way to what it learns. [`build_with`](DistanceConfig::build_with) is for these, and a loss by name
    /// uses it.
    pub fn build(&self) -> Result<Arc<dyn Distance>, ConfigError> {
        self.made(None)
    }

    /// The same with what the distance learns made by `vars`, or found there.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range, or if `vars` holds a variable of another shape.
    pub fn build_with(&self, vars: &VarBuilder<'_>) -> Result<Arc<dyn Distance>, ConfigError> {
        self.made(Some(vars))
    }

    fn made(&self, vars: Option<&VarBuilder<'_>>) -> Result<Arc<dyn Distance>, ConfigError> {
        Ok(match self {
            Self::CosineSimilarity(config) => Arc::new(CosineSimilarity::new(config.clone())?),
            Self::DotProductSimilarity(config) => {
                Arc::new(DotProductSimilarity::new(config.clone())?)
            }
            Self::LpDistance(config) => Arc::new(LpDistance::new(config.clone())?),
            Self::SNRDistance(config) => Arc::new(SNRDistance::new(config.clone())?),
            Self::BatchedDistance(config) => {
                Arc::new(config.blocks_of(config.distance.made(vars)?)?)
            }
            Self::HammingDistance(_) => Arc::new(HammingDistance),
            Self::MahalanobisDistance(config) => {
                let vars = vars.ok_or(Error::unsupported(
                    "MahalanobisDistance",
                    "it learns: name it as the distance of a loss, or build it with variables",
                ))?;
                Arc::new(mahalanobis(config, vars)?)
            }
        })
    }
}

/// The distance with the factor that `vars` holds, or else with one that begins as the identity.
fn mahalanobis(
    config: &MahalanobisDistanceConfig,
    vars: &VarBuilder<'_>,
) -> Result<MahalanobisDistance, Error> {
    const FACTOR: &str = "factor";
    let size = config.embedding_size;
    let rank = config.rank.unwrap_or(size);
    check::at_least_one("embedding_size", size)?;
    let expected = "a whole number from 1 to embedding_size";
    check::whole((1..=size).contains(&rank), "rank", rank, expected)?;
    check::elements("embedding_size", &[size, size], check::PARAMETER)?;
    let is_new = !vars.contains_tensor(FACTOR);
    let factor = vars.get_with_hints((rank, size), FACTOR, Init::Const(0.0))?;
    let distance = MahalanobisDistance::from_factor(config.clone(), Var::from_tensor(&factor)?)?;
    if is_new {
        // No initialiser of Candle's makes an identity.
        let identity = Tensor::eye(size, factor.dtype(), factor.device())?;
        distance.factor().set(&identity.narrow(0, 0, rank)?)?;
    }
    Ok(distance)
}

dml_core::config! {
    serde always:
    /// Another distance, block by block of query rows.
    pub struct BatchedDistanceSpec {
        /// The distance within a block.
        pub distance: Box<DistanceConfig>;
        /// Query rows of a block. Default 32.
        pub batch_size: usize = dml_distances::BatchedDistanceConfig::default().batch_size,
    }
}

impl BatchedDistanceSpec {
    /// The distance with its method that hands out the blocks.
    ///
    /// # Errors
    /// As [`DistanceConfig::build`].
    pub fn build_blocks(&self) -> Result<BatchedDistance, ConfigError> {
        self.blocks_of(self.distance.build()?)
    }

    fn blocks_of(&self, distance: Arc<dyn Distance>) -> Result<BatchedDistance, ConfigError> {
        let config = dml_distances::BatchedDistanceConfig {
            batch_size: self.batch_size,
        };
        Ok(BatchedDistance::new(config, distance)?)
    }
}
