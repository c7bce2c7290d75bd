//! Losses around other losses, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use candle_nn::VarBuilder;
use dml_core::{Objective, check};
use dml_losses::{CrossBatchMemory, MultipleLosses, SelfSupervisedLoss, WeightedObjective};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::{ConfigError, LossConfig, MinerConfig};

dml_core::config! {
    serde always:
    /// A loss against a memory of earlier rows.
    pub struct CrossBatchMemorySpec {
        /// How rows are compared with the memory.
        pub loss: Box<LossConfig>,
        /// Length of a row.
        pub embedding_size: usize;
        /// Rows that the memory holds. Default 1,024.
        pub memory_size: usize = dml_losses::CrossBatchMemoryConfig::new(1).memory_size,
        /// Which pairs or triplets of batch and memory count; `None` is all.
        pub miner: Option<MinerConfig> = None,
    }
}

impl CrossBatchMemorySpec {
    /// The loss with its methods that a loss by name has not; what it learns is made by `vars`.
    ///
    /// # Errors
    /// As [`LossConfig::build_with`].
    pub fn build_memory(&self, vars: &VarBuilder<'_>) -> Result<CrossBatchMemory, ConfigError> {
        let objective = self.loss.build_with(&vars.pp("loss"))?;
        let own = dml_losses::CrossBatchMemoryConfig {
            embedding_size: self.embedding_size,
            memory_size: self.memory_size,
        };
        let objective = with_miner(objective, self.miner.as_ref())?;
        Ok(CrossBatchMemory::new(own, objective)?)
    }
}

dml_core::config! {
    serde always:
    /// A loss of two views of the same things.
    pub struct SelfSupervisedLossSpec {
        /// How views are compared.
        pub loss: Box<LossConfig>;
        /// Whether rows of both views are anchors. Default `true`.
        pub symmetric: bool = true,
    }
}

impl SelfSupervisedLossSpec {
    /// The loss with its methods that a loss by name has not; what it learns is made by `vars`.
    ///
    /// # Errors
    /// As [`LossConfig::build_with`].
    pub fn build_views(&self, vars: &VarBuilder<'_>) -> Result<SelfSupervisedLoss, ConfigError> {
        let objective = self.loss.build_with(&vars.pp("loss"))?;
        Ok(SelfSupervisedLoss::new(objective, self.symmetric)?)
    }
}

dml_core::config! {
    serde always:
    /// The weighted sum of several losses.
    pub struct MultipleLossesSpec {
        /// The losses, as a list or by names of one's own.
        pub losses: LossParts<LossConfig>;
        /// A miner for some of the losses: a list of the same length, or by the same names.
        pub miners: Option<LossParts<Option<MinerConfig>>> = None,
        /// What each loss is multiplied by: a list of the same length, or by the same names. Default 1.
        pub weights: Option<LossParts<f64>> = None,
    }
}

/// Several things, in order or by name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum LossParts<T> {
    /// In order; their names are 0, 1, …
    List(Vec<T>),
    /// By name.
    Map(BTreeMap<String, T>),
}

// Serde's own reading of such an enum says of a wrong part only that it fits no variant.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for LossParts<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<T> {
            type Value = LossParts<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list or a table of parts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(parts)).map(LossParts::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, parts: A) -> Result<Self::Value, A::Error> {
                BTreeMap::deserialize(MapAccessDeserializer::new(parts)).map(LossParts::Map)
            }
        }

        deserializer.deserialize_any(Parts(PhantomData))
    }
}

impl<T> LossParts<T> {
    fn named(&self) -> BTreeMap<String, &T> {
        match self {
            Self::List(list) => {
                let number = |(i, part): (usize, _)| (i.to_string(), part);
                list.iter().enumerate().map(number).collect()
            }
            Self::Map(map) => map.iter().map(|(k, v)| (k.clone(), v)).collect(),
        }
    }

    fn is_list(&self) -> bool {
        matches!(self, Self::List(_))
    }
}

/// Refuses parts that do not belong to the losses one by one.
fn check_keys<T>(
    parts: &LossParts<T>,
    losses: &LossParts<LossConfig>,
    all: bool,
    reason: &'static str,
) -> Result<(), ConfigError> {
    let (own, known) = (parts.named(), losses.named());
    let fits = parts.is_list() == losses.is_list()
        && own.keys().all(|key| known.contains_key(key))
        && (own.len() == known.len() || !all && !parts.is_list());
    Ok(check::supported(fits, "MultipleLosses", reason)?)
}

impl MultipleLossesSpec {
    /// The loss with its methods that a loss by name has not; what its parts learn is made by `vars`.
    ///
    /// # Errors
    /// As [`LossConfig::build_with`], and [`ConfigError::Component`] for miners or weights that are not one for each
    /// loss.
    pub fn build_parts(&self, vars: &VarBuilder<'_>) -> Result<MultipleLosses, ConfigError> {
        let (losses, mut parts) = (&self.losses, Vec::new());
        if let Some(miners) = &self.miners {
            let reason =
                "miners are not a list as long as that of the losses, or not of their names";
            check_keys(miners, losses, false, reason)?;
        }
        if let Some(weights) = &self.weights {
            let reason =
                "weights are not a list as long as that of the losses, or not of their names";
            check_keys(weights, losses, true, reason)?;
        }
        let miners = self.miners.as_ref().map(LossParts::named);
        let weights = self.weights.as_ref().map(LossParts::named);
        let (miners, weights) = (miners.unwrap_or_default(), weights.unwrap_or_default());
        for (name, loss) in losses.named() {
            let objective = loss.build_with(&vars.pp("losses").pp(&name))?;
            let miner = miners.get(&name).and_then(|miner| miner.as_ref());
            parts.push(WeightedObjective {
                objective: with_miner(objective, miner)?,
                weight: weights.get(&name).map_or(1.0, |weight| **weight),
                name,
            });
        }
        Ok(MultipleLosses::new(parts)?)
    }
}

fn with_miner(objective: Objective, miner: Option<&MinerConfig>) -> Result<Objective, ConfigError> {
    Ok(match miner {
        Some(miner) => objective.with_miner(miner.build()?),
        None => objective,
    })
}
