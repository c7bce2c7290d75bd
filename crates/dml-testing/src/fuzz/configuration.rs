//! Configurations of every component, built and used.

mod defaults;
mod odd;
mod used;

use dml::config::{
    ClassifierConfig, ClustererConfig, DistanceConfig, EvaluationConfig, InferenceConfig,
    KnnConfig, LossConfig, LossKind, MatchConfig, MinerConfig, MinerKind, ProjectionConfig,
    ReducerConfig, RegularizerConfig, RegularizerKind, RerankConfig, SamplerConfig, TesterKind,
    from_value,
};
use dml::losses::WeightInit;
use serde_json::Value;

use defaults::{distributions, full, of_registry};

pub use defaults::defaults;
pub use odd::{odd_values, with_odd_values};

/// Declares the roles. Each has a sentence, the function of [`used`] that builds and uses a component of it, the
/// configuration that this function takes, and examples of such configurations.
macro_rules! roles {
    ($($(#[$doc:meta])* $role:ident: $used:ident($Config:ty), $examples:expr;)*) => {
        /// What a component is for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Role {
            $($(#[$doc])* $role,)*
        }

        impl Role {
            /// Every role.
            pub const ALL: &[Self] = &[$(Self::$role),*];

            /// Configurations for the batch of [`used`], with all fields written out.
            fn examples(self) -> Vec<Value> {
                match self {
                    $(Self::$role => $examples.into_iter().map(full::<$Config>).collect(),)*
                }
            }
        }

        /// Builds a component from its configuration, and if that is possible, uses it on eight rows: losses and
        /// regularizers forward and backward.
        ///
        /// # Errors
        /// What the component says against its configuration or the rows.
        pub fn exercise(role: Role, config: Value) -> Result<(), Box<dyn std::error::Error>> {
            match role {
                $(Role::$role => used::$used(&from_value::<$Config>(config)?),)*
            }
        }
    };
}

roles! {
    /// A distance.
    Distance: distance(DistanceConfig), of_registry(DistanceConfig::NAMES, DistanceConfig::examples);
    /// A reducer.
    Reducer: reducer(ReducerConfig), of_registry(ReducerConfig::NAMES, ReducerConfig::examples);
    /// A regularizer of embeddings.
    Regularizer: regularizer(RegularizerConfig), of_registry(RegularizerKind::NAMES, RegularizerKind::examples);
    /// A miner.
    Miner: miner(MinerConfig), of_registry(MinerKind::NAMES, MinerKind::examples);
    /// A loss with its collaborators.
    Loss: loss(LossConfig), of_registry(LossKind::NAMES, LossKind::examples);
    /// A sampler.
    Sampler: sampler(SamplerConfig), of_registry(SamplerConfig::NAMES, SamplerConfig::examples);
    /// An index.
    Index: index(KnnConfig), of_registry(KnnConfig::NAMES, KnnConfig::examples);
    /// A classifier by neighbours.
    Classifier: classifier(ClassifierConfig), of_registry(ClassifierConfig::NAMES, ClassifierConfig::examples);
    /// A clusterer.
    Clusterer: clusterer(ClustererConfig), of_registry(ClustererConfig::NAMES, ClustererConfig::examples);
    /// A finder of matches.
    Match: match_finder(MatchConfig), of_registry(MatchConfig::NAMES, MatchConfig::examples);
    /// A model for inference.
    Inference: inference(InferenceConfig), of_registry(InferenceConfig::NAMES, InferenceConfig::examples);
    /// An accuracy calculator.
    Evaluation: evaluation(EvaluationConfig), of_registry(EvaluationConfig::NAMES, EvaluationConfig::examples);
    /// A projection.
    Projection: projection(ProjectionConfig), of_registry(ProjectionConfig::NAMES, ProjectionConfig::examples);
    /// A re-ranking.
    Rerank: rerank(RerankConfig), of_registry(RerankConfig::NAMES, RerankConfig::examples);
    /// A tester.
    Tester: tester(TesterKind), of_registry(TesterKind::NAMES, TesterKind::examples);
    /// A distribution of first weights.
    WeightInit: weight_init(WeightInit), distributions();
}

/// JSON of a component of any role.
pub(super) fn run(bytes: &[u8]) {
    let Ok(config) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    if is_heavy(&config) {
        return;
    }
    for &role in Role::ALL {
        exercise(role, config.clone()).ok();
    }
}

/// Whether a configuration may ask for more work than a fuzzer has time for, and is right to: it has a whole number between
/// ten thousand and what every component refuses.
fn is_heavy(config: &Value) -> bool {
    match config {
        Value::Number(number) => number
            .as_f64()
            .is_some_and(|number| (10_000.0..1e10).contains(&number.abs())),
        Value::Array(list) => list.len() > 100 || list.iter().any(is_heavy),
        Value::Object(fields) => fields.values().any(is_heavy),
        _ => false,
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let configs = defaults().into_iter();
    configs
        .map(|(_, config)| config.to_string().into_bytes())
        .collect()
}
