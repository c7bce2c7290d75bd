//! Miners by name, with their distance.

use std::sync::Arc;

use dml_core::{Distance, Miner};
use dml_miners::{
    AngularMiner, AngularMinerConfig, BatchEasyHardMiner, BatchEasyHardMinerConfig, BatchHardMiner,
    BatchHardMinerConfig, DistanceWeightedMiner, DistanceWeightedMinerConfig,
    EmbeddingsAlreadyPackagedAsTriplets, HDCMiner, HDCMinerConfig, MultiSimilarityMiner,
    MultiSimilarityMinerConfig, NHardTripletsMiner, NHardTripletsMinerConfig, PairMarginMiner,
    PairMarginMinerConfig, TripletMarginMiner, TripletMarginMinerConfig, UniformHistogramMiner,
    UniformHistogramMinerConfig,
};
use serde_json::json;

use super::parts::read_with_parts;
use super::{ConfigError, DistanceConfig, NoArguments, registry};
use crate::defaults::{cosine, lp};

/// Name(arguments): constructor, default distance, and fields of the profile in braces.
macro_rules! miners {
    ($($Name:ident($Config:ty): $new:expr, $distance:path $({ $($profile:tt)* })?;)*) => {
        registry! {
            /// A miner and its own arguments.
            pub enum MinerKind {
                $($Name($Config) $({ $($profile)* })?,)*
            }
        }

        impl MinerKind {
            /// The miner over that distance.
            ///
            /// # Errors
            /// [`ConfigError::Component`] for arguments outside of their range.
            pub fn build_over(
                &self,
                distance: Arc<dyn Distance>,
            ) -> Result<Arc<dyn Miner>, ConfigError> {
                Ok(match self {
                    $(Self::$Name(config) => Arc::new($new(config.clone(), distance)?),)*
                })
            }

            /// The distance of the miner where a configuration names none.
            #[must_use]
            pub fn default_distance(&self) -> Arc<dyn Distance> {
                match self {
                    $(Self::$Name(_) => $distance(),)*
                }
            }
        }
    };
}

miners! {
    TripletMarginMiner(TripletMarginMinerConfig): TripletMarginMiner::new, lp {
        examples: |_| json!(["all", "hard", "semihard", "easy"].map(|kind| json!({"type_of_triplets": kind}))),
    };
    PairMarginMiner(PairMarginMinerConfig): PairMarginMiner::new, lp;
    MultiSimilarityMiner(MultiSimilarityMinerConfig): MultiSimilarityMiner::new, cosine;
    AngularMiner(AngularMinerConfig): AngularMiner::new, lp;
    BatchHardMiner(BatchHardMinerConfig): BatchHardMiner::new, lp;
    BatchEasyHardMiner(BatchEasyHardMinerConfig): BatchEasyHardMiner::new, lp {
        examples: |_| json!([
            {},
            {"pos_strategy": "hard", "neg_strategy": "easy"},
            {"pos_strategy": "semihard", "neg_strategy": "hard"},
            {"pos_strategy": "all", "neg_strategy": "hard"},
            {"pos_strategy": "easy", "neg_strategy": "all"},
            {"pos_strategy": "all", "neg_strategy": "all"},
            {"allowed_pos_range": [0, 2]},
        ]),
    };
    HDCMiner(HDCMinerConfig): HDCMiner::new, lp;
    DistanceWeightedMiner(DistanceWeightedMinerConfig): DistanceWeightedMiner::new, lp;
    UniformHistogramMiner(UniformHistogramMinerConfig): UniformHistogramMiner::new, lp;
    NHardTripletsMiner(NHardTripletsMinerConfig): NHardTripletsMiner::new, lp;
    EmbeddingsAlreadyPackagedAsTriplets(NoArguments): without_distance, lp;
}

/// Embeddings that come as triplets are never compared; PML's class takes a distance all the same.
fn without_distance(
    _: NoArguments,
    _: Arc<dyn Distance>,
) -> dml_core::Result<EmbeddingsAlreadyPackagedAsTriplets> {
    Ok(EmbeddingsAlreadyPackagedAsTriplets)
}

/// A miner with its distance; `None` is PML's default for that miner.
#[derive(Clone, Debug, PartialEq)]
pub struct MinerConfig {
    /// The miner and its own arguments.
    pub miner: MinerKind,
    /// How far apart embeddings are.
    pub distance: Option<DistanceConfig>,
}

impl MinerConfig {
    /// The miner.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<Arc<dyn Miner>, ConfigError> {
        self.miner.build_over(self.build_distance()?)
    }

    /// The miner's distance.
    ///
    /// # Errors
    /// As [`build`](MinerConfig::build).
    pub fn build_distance(&self) -> Result<Arc<dyn Distance>, ConfigError> {
        DistanceConfig::build_or(self.distance.as_ref(), || self.miner.default_distance())
    }
}

read_with_parts! { MinerConfig { distance, .. miner } }
