//! Miners by name, with their distance.

use std::sync::Arc;

use dml_core::{Distance, Miner};
use dml_miners::{TripletMarginMiner, TripletMarginMinerConfig};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::parts::Parts;
use super::{ConfigError, DistanceConfig, registry};
use crate::defaults::lp;

/// Name(arguments): constructor, default distance.
macro_rules! miners {
    ($($Name:ident($Config:ty): $new:expr, $distance:path;)*) => {
        registry! {
            /// A miner and its own arguments.
            pub enum MinerKind {
                $($Name($Config),)*
            }
        }

        impl MinerKind {
            fn build(&self, distance: Arc<dyn Distance>) -> Result<Arc<dyn Miner>, ConfigError> {
                Ok(match self {
                    $(Self::$Name(config) => Arc::new($new(config.clone(), distance)?),)*
                })
            }

            fn default_distance(&self) -> Arc<dyn Distance> {
                match self {
                    $(Self::$Name(_) => $distance(),)*
                }
            }
        }
    };
}

miners! {
    TripletMarginMiner(TripletMarginMinerConfig): TripletMarginMiner::new, lp;
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
    /// A miner from JSON, or from its bare name.
    ///
    /// # Errors
    /// As [`from_text`](super::from_text).
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        super::from_text(text)
    }

    /// The miner.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<Arc<dyn Miner>, ConfigError> {
        let distance = match &self.distance {
            Some(distance) => distance.build()?,
            None => self.miner.default_distance(),
        };
        self.miner.build(distance)
    }
}

impl<'de> Deserialize<'de> for MinerConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut parts = Parts::deserialize(deserializer)?;
        Ok(Self {
            distance: parts.take("distance")?,
            miner: parts.rest()?,
        })
    }
}

impl Serialize for MinerConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Parts::of(&self.miner)?
            .put("distance", self.distance.as_ref())?
            .serialize(serializer)
    }
}
