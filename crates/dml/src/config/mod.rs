//! Every component by name: PML's class names with PML's argument names, as data.
//!
//! ```
//! use dml::{Batch, candle_core::{Device, Tensor}, config::LossConfig};
//!
//! let loss = LossConfig::from_json(
//!     r#"{"name": "TripletMarginLoss", "margin": 0.2, "distance": {"name": "CosineSimilarity"}}"#,
//! )?;
//! let embeddings = Tensor::new(&[[1f32, 0.], [0., 1.], [1., 0.]], &Device::Cpu)?;
//! let loss = loss.build()?.forward(&Batch::new(&embeddings, &[0i64, 0, 1])?)?;
//! // Anchor 0: the positive has cosine 0, the negative 1, so the hinge is 1 + 0.2. Anchor 1: both have cosine 0: 0.2.
//! assert!((loss.to_scalar::<f32>()? - 0.7).abs() < 1e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A configuration names its component under `name`; its other fields are the component's arguments and its
//! collaborators (`distance`, `reducer`, …). What is left out, or `null`, has PML's default. An unknown name or field is
//! an error, so that a typing mistake never trains something else than was asked for. Where a command line takes a
//! component, a bare name stands for the component with all defaults.

mod accuracy;
mod argument;
mod classifier;
mod clustering;
mod distance;
mod error;
mod inference;
mod knn;
mod label_comparison;
mod loss;
mod metric;
mod miner;
mod optimizer;
mod parts;
mod profile;
mod projection;
mod reducer;
mod regularizer;
mod rerank;
mod sampler;
mod schedule;
mod tester;
mod wrapper;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use accuracy::{AccuracyCalculatorSpec, EvaluationConfig};
pub use argument::{Argument, arguments};
pub use classifier::{ClassifierConfig, KnnClassifierSpec};
pub use clustering::{ClustererConfig, GivenClustersConfig};
pub use distance::{BatchedDistanceSpec, DistanceConfig};
pub use error::ConfigError;
pub use inference::{
    InferenceConfig, InferenceModelSpec, MatchConfig, MatchFinderSpec, NetworkConfig,
};
pub use knn::{CustomKNNSpec, FaissIndex, FaissKNNConfig, FlatIndexConfig, KnnConfig};
pub use label_comparison::LabelComparison;
pub use loss::{LossConfig, LossKind};
pub use metric::MetricName;
pub use miner::{MinerConfig, MinerKind};
pub use optimizer::OptimizerConfig;
pub use profile::{BatchSizes, Profile};
pub use projection::{PcaConfig, Projection, ProjectionConfig};
pub use reducer::{Aggregation, MultipleReducersSpec, PerAnchorReducerSpec, ReducerConfig};
pub use regularizer::{RegularizerConfig, RegularizerKind};
pub use rerank::{Rerank, RerankConfig};
pub use sampler::{Embed, SampledData, SamplerConfig, TuplesToWeightsSamplerSpec};
pub use schedule::{
    DecayConfig, MultiStepConfig, PlateauSpec, ScheduleConfig, ScheduleKind, ScheduleUnit,
    StepConfig,
};
pub use tester::{Tester, TesterKind, TesterSpec};
pub use wrapper::{CrossBatchMemorySpec, LossParts, MultipleLossesSpec, SelfSupervisedLossSpec};

/// The arguments of a component that has none. Any field is an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoArguments {}

/// A configuration from JSON, or from a bare component name.
///
/// # Errors
/// [`ConfigError::Json`] if the text is no JSON, names no component, or has an unknown field.
pub fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, ConfigError> {
    let text = text.trim();
    if text.starts_with('{') {
        return from_value(serde_json::from_str(text)?);
    }
    from_value(Value::Object(Map::from_iter([(
        "name".to_owned(),
        Value::from(text),
    )])))
}

/// A configuration from a JSON value.
///
/// # Errors
/// [`ConfigError::Json`] if it names no component, or has an unknown field.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, ConfigError> {
    Ok(serde_json::from_value(value)?)
}

/// What the registries say of the component of that name, in any role; `None` if there is none.
#[must_use]
pub fn profile(name: &str) -> Option<Profile> {
    [
        DistanceConfig::profile,
        ReducerConfig::profile,
        MinerKind::profile,
        RegularizerKind::profile,
        LossKind::profile,
        SamplerConfig::profile,
        OptimizerConfig::profile,
        ScheduleKind::profile,
        KnnConfig::profile,
        ClassifierConfig::profile,
        ClustererConfig::profile,
        MatchConfig::profile,
        InferenceConfig::profile,
        NetworkConfig::profile,
        EvaluationConfig::profile,
        ProjectionConfig::profile,
        RerankConfig::profile,
        TesterKind::profile,
    ]
    .iter()
    .find_map(|of_role| of_role(name))
}

/// Whether there is a component of that name, in any role.
#[must_use]
pub fn is_known(name: &str) -> bool {
    profile(name).is_some() || dml_losses::WeightInit::NAMES.contains(&name)
}

/// Declares the components of a role: one line each. The variant's name is the name in the configuration; the braces
/// after it hold fields of its [`Profile`].
macro_rules! registry {
    (
        $(#[$doc:meta])*
        pub enum $Role:ident {
            $($Name:ident($Config:ty) $({ $($field:ident: $value:expr),* $(,)? })?),* $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "name")]
        pub enum $Role {
            $(
                #[doc = concat!("`", stringify!($Name), "`.")]
                $Name($Config),
            )*
        }

        impl $Role {
            /// The names of the components of this role.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($Name)),*];

            /// The name of this component.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$Name(_) => stringify!($Name),)*
                }
            }

            /// What the registry says of the component of that name; `None` if there is none.
            #[must_use]
            pub fn profile(name: &str) -> Option<crate::config::Profile> {
                match name {
                    $(stringify!($Name) => Some(crate::config::Profile {
                        $($($field: $value,)*)?
                        ..crate::config::Profile::DEFAULT
                    }),)*
                    _ => None,
                }
            }

            /// The arguments that the component of that name has no default for, with values for a batch of these
            /// sizes.
            #[must_use]
            pub fn required(
                name: &str,
                sizes: crate::config::BatchSizes,
            ) -> serde_json::Map<String, serde_json::Value> {
                Self::profile(name).map(|profile| profile.required(sizes)).unwrap_or_default()
            }

            /// Configurations of the component of that name, which works with them on a batch of these sizes.
            #[must_use]
            pub fn examples(name: &str, sizes: crate::config::BatchSizes) -> Vec<serde_json::Value> {
                let sets = Self::profile(name).map(|profile| profile.examples(sizes));
                let named = |mut set: serde_json::Map<_, _>| {
                    set.insert("name".to_owned(), name.into());
                    serde_json::Value::Object(set)
                };
                sets.unwrap_or_default().into_iter().map(named).collect()
            }

            /// The component from JSON, or from its bare name.
            ///
            /// # Errors
            /// As [`from_text`](crate::config::from_text).
            pub fn from_json(text: &str) -> Result<Self, crate::config::ConfigError> {
                crate::config::from_text(text)
            }
        }
    };
}
pub(crate) use registry;

#[cfg(test)]
mod tests;
