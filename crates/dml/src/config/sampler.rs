//! Samplers by name.

use std::sync::Arc;

use candle_core::Tensor;
use dml_core::{Labels, Sampler, check};
use dml_samplers::{
    FixedSetOfTriplets, FixedSetOfTripletsConfig, HierarchicalSampler, HierarchicalSamplerConfig,
    MPerClassSampler, MPerClassSamplerConfig, NoDuplicatesSampler, NoDuplicatesSamplerConfig,
    ShuffleSampler, ShuffleSamplerConfig, TuplesToWeightsSampler,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;

use super::parts::Parts;
use super::{ConfigError, MinerConfig, registry};

registry! {
    /// A sampler and its arguments.
    pub enum SamplerConfig {
        MPerClassSampler(MPerClassSamplerConfig) {
            required: |_| json!({"m": 2}),
            examples: |_| json!([{"batch_size": 4, "length_before_new_iter": 8}, {"coverage": true}]),
        },
        ShuffleSampler(ShuffleSamplerConfig),
        HierarchicalSampler(HierarchicalSamplerConfig) {
            required: |_| json!({"batch_size": 4, "samples_per_class": 1}),
            examples: |_| json!([{}, {"samples_per_class": "all"}]),
        },
        FixedSetOfTriplets(FixedSetOfTripletsConfig) {
            required: |_| json!({"num_triplets": 5}),
            examples: |_| json!([{"batch_size": 6}]),
        },
        NoDuplicatesSampler(NoDuplicatesSamplerConfig),
        TuplesToWeightsSampler(TuplesToWeightsSamplerSpec) {
            required: |_| json!({"miner": {"name": "MultiSimilarityMiner"}}),
            examples: |_| json!([{"subset_size": 6}]),
        },
    }
}

/// The embeddings `[rows, dim]` of given rows.
pub type Embed<'a> = dyn Fn(&[usize]) -> dml_core::Result<Tensor> + 'a;

/// What a sampler may ask of a data set.
#[derive(Clone, Copy)]
pub struct SampledData<'a> {
    /// The labels of all rows, one list a level; most samplers read the first.
    pub levels: &'a [Labels],
    /// The embeddings `[rows, dim]` of given rows, for samplers that mine.
    pub embed: Option<&'a Embed<'a>>,
}

impl std::fmt::Debug for SampledData<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SampledData")
            .field("levels", &self.levels.len())
            .field("embed", &self.embed.is_some())
            .finish()
    }
}

impl SamplerConfig {
    /// The sampler of a data set with these labels.
    ///
    /// # Errors
    /// As [`build_with`](SamplerConfig::build_with); samplers that read more than one list of labels, or embeddings,
    /// are refused.
    pub fn build(&self, labels: &Labels) -> Result<Arc<dyn Sampler>, ConfigError> {
        self.build_with(SampledData {
            levels: std::slice::from_ref(labels),
            embed: None,
        })
    }

    /// The sampler of a data set of which more is known.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments that are outside of their range or that the labels can't fulfil, and
    /// if the data lacks what the sampler reads.
    pub fn build_with(&self, data: SampledData<'_>) -> Result<Arc<dyn Sampler>, ConfigError> {
        let labels = check::present(data.levels.first(), self.name(), "labels")?;
        Ok(match self {
            Self::MPerClassSampler(config) => {
                Arc::new(MPerClassSampler::new(config.clone(), labels)?)
            }
            Self::ShuffleSampler(config) => {
                Arc::new(ShuffleSampler::new(config.clone(), labels.len())?)
            }
            Self::HierarchicalSampler(config) => {
                Arc::new(HierarchicalSampler::new(config.clone(), data.levels)?)
            }
            Self::FixedSetOfTriplets(config) => {
                Arc::new(FixedSetOfTriplets::new(config.clone(), labels)?)
            }
            Self::NoDuplicatesSampler(config) => {
                Arc::new(NoDuplicatesSampler::new(config.clone(), labels)?)
            }
            Self::TuplesToWeightsSampler(config) => Arc::new(config.build(data)?),
        })
    }
}

/// Rows drawn by how often a miner chooses them; see [`TuplesToWeightsSampler`].
#[derive(Clone, Debug, PartialEq)]
pub struct TuplesToWeightsSamplerSpec {
    /// The sampler's own arguments.
    pub own: dml_samplers::TuplesToWeightsSamplerConfig,
    /// Whose tuples are counted.
    pub miner: MinerConfig,
}

impl TuplesToWeightsSamplerSpec {
    /// The sampler with its own methods.
    ///
    /// # Errors
    /// As [`SamplerConfig::build_with`].
    pub fn build(&self, data: SampledData<'_>) -> Result<TuplesToWeightsSampler, ConfigError> {
        const NAME: &str = "TuplesToWeightsSampler";
        let labels = check::present(data.levels.first(), NAME, "labels")?;
        let embed = check::present(data.embed, NAME, "embeddings")?;
        let (own, miner) = (self.own.clone(), self.miner.build()?);
        Ok(TuplesToWeightsSampler::new(own, miner, labels, embed)?)
    }
}

impl<'de> Deserialize<'de> for TuplesToWeightsSamplerSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut parts = Parts::deserialize(deserializer)?;
        let miner = parts.take("miner")?;
        Ok(Self {
            miner: miner.ok_or_else(|| serde::de::Error::missing_field("miner"))?,
            own: parts.rest()?,
        })
    }
}

impl Serialize for TuplesToWeightsSamplerSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Parts::of(&self.own)?
            .put("miner", Some(&self.miner))?
            .serialize(serializer)
    }
}
