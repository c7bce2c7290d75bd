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
mod parts;
mod projection;
mod reducer;
mod regularizer;
mod rerank;
mod sampler;
mod tester;
mod wrapper;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use accuracy::{AccuracyCalculatorConfig, EvaluationConfig};
pub use classifier::{ClassifierConfig, KnnClassifierConfig};
pub use clustering::{ClustererConfig, GivenClustersConfig};
pub use distance::{BatchedDistanceConfig, DistanceConfig};
pub use error::ConfigError;
pub use inference::{
    InferenceConfig, InferenceModelConfig, MatchConfig, MatchFinderConfig, NetworkConfig,
};
pub use knn::{CustomKNNConfig, FaissIndex, FaissKNNConfig, FlatIndexConfig, KnnConfig};
pub use label_comparison::LabelComparison;
pub use loss::{LossConfig, LossKind};
pub use metric::MetricName;
pub use miner::{MinerConfig, MinerKind};
pub use projection::{PcaConfig, Projection, ProjectionConfig};
pub use reducer::{Aggregation, MultipleReducersConfig, PerAnchorReducerConfig, ReducerConfig};
pub use regularizer::{RegularizerConfig, RegularizerKind};
pub use rerank::{Rerank, RerankConfig};
pub use sampler::{Embed, SampledData, SamplerConfig, TuplesToWeightsSamplerConfig};
pub use tester::{Tester, TesterConfig, TesterKind};
pub use wrapper::{
    CrossBatchMemoryConfig, LossParts, MultipleLossesConfig, SelfSupervisedLossConfig,
};

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

/// Whether there is a component of that name, in any role.
#[must_use]
pub fn is_known(name: &str) -> bool {
    [
        DistanceConfig::NAMES,
        ReducerConfig::NAMES,
        MinerKind::NAMES,
        RegularizerKind::NAMES,
        LossKind::NAMES,
        SamplerConfig::NAMES,
        KnnConfig::NAMES,
        ClassifierConfig::NAMES,
        ClustererConfig::NAMES,
        MatchConfig::NAMES,
        InferenceConfig::NAMES,
        NetworkConfig::NAMES,
        EvaluationConfig::NAMES,
        ProjectionConfig::NAMES,
        RerankConfig::NAMES,
        TesterKind::NAMES,
        dml_losses::WeightInit::NAMES,
    ]
    .iter()
    .any(|names| names.contains(&name))
}

/// Declares the components of a role: one line each. The variant's name is the name in the configuration.
macro_rules! registry {
    (
        $(#[$doc:meta])*
        pub enum $Role:ident {
            $($Name:ident($Config:ty)),* $(,)?
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
#[cfg(test)]
mod weighted_relations;
