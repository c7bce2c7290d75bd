//! Every component with all of its fields.

use dml::config::{
    ClassifierConfig, ClustererConfig, ConfigError, DistanceConfig, EvaluationConfig,
    InferenceConfig, KnnConfig, LossConfig, LossKind, MatchConfig, MinerConfig, MinerKind,
    ProjectionConfig, ReducerConfig, RegularizerConfig, RegularizerKind, RerankConfig,
    SamplerConfig, TesterKind, from_value,
};
use dml::losses::WeightInit;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Role;
use super::used::SIZES;

/// Every example of the registry for eight rows of four numbers in three classes, with all fields written out.
///
/// # Panics
/// If an example can't be read.
#[must_use]
pub fn defaults() -> Vec<(Role, Value)> {
    let mut all = Vec::new();
    macro_rules! add {
        ($($role:ident: $Registry:ty, $Config:ty;)*) => {$(
            for name in <$Registry>::NAMES {
                let examples = <$Registry>::examples(name, SIZES);
                all.extend(examples.into_iter().map(|config| (Role::$role, full::<$Config>(config))));
            }
        )*};
    }
    add! {
        Distance: DistanceConfig, DistanceConfig;
        Reducer: ReducerConfig, ReducerConfig;
        Regularizer: RegularizerKind, RegularizerConfig;
        Miner: MinerKind, MinerConfig;
        Loss: LossKind, LossConfig;
        Sampler: SamplerConfig, SamplerConfig;
        Index: KnnConfig, KnnConfig;
        Classifier: ClassifierConfig, ClassifierConfig;
        Clusterer: ClustererConfig, ClustererConfig;
        Match: MatchConfig, MatchConfig;
        Inference: InferenceConfig, InferenceConfig;
        Evaluation: EvaluationConfig, EvaluationConfig;
        Projection: ProjectionConfig, ProjectionConfig;
        Rerank: RerankConfig, RerankConfig;
        Tester: TesterKind, TesterKind;
    }
    let distributions = [
        json!({"init_func": "uniform_"}),
        json!({"init_func": "normal_"}),
        json!({"init_func": "trunc_normal_"}),
        json!({"init_func": "constant_", "val": 0.5}),
        json!({"init_func": "xavier_uniform_"}),
        json!({"init_func": "xavier_normal_"}),
        json!({"init_func": "kaiming_uniform_"}),
        json!({"init_func": "kaiming_normal_"}),
        json!({"init_func": "orthogonal_"}),
    ];
    for mut config in distributions {
        config["name"] = json!(WeightInit::NAMES[0]);
        all.push((Role::WeightInit, full::<WeightInit>(config)));
    }
    all
}

/// A configuration as it is written when every field is.
fn full<T: DeserializeOwned + Serialize>(config: Value) -> Value {
    let written = |config| -> Result<Value, ConfigError> {
        Ok(serde_json::to_value(from_value::<T>(config)?)?)
    };
    written(config.clone()).unwrap_or_else(|error| panic!("{config}: {error}"))
}
