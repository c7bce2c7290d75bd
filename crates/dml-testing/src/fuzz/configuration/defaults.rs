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
use serde_json::{Map, Value, json};

use super::Role;
use super::used::{CLASSES, DIM};

/// Every component of the registry: its defaults written out, and for what has no default a number that fits eight rows of
/// four numbers in three classes. Losses stand there with collaborators of their own, too.
///
/// # Panics
/// If a component is not known by its name, or its defaults can't be read.
#[must_use]
pub fn defaults() -> Vec<(Role, Value)> {
    let mut all = Vec::new();
    let mut add = |role, names: &[&str], full: fn(Value) -> Result<Value, ConfigError>| {
        for name in names {
            for arguments in given(role, name) {
                let mut config = Map::from_iter([("name".to_owned(), json!(name))]);
                config.extend(arguments);
                let config = full(Value::Object(config));
                let config = config.unwrap_or_else(|error| panic!("{name}: {error}"));
                all.push((role, config));
            }
        }
    };
    add(
        Role::Distance,
        DistanceConfig::NAMES,
        full::<DistanceConfig>,
    );
    add(Role::Reducer, ReducerConfig::NAMES, full::<ReducerConfig>);
    add(
        Role::Regularizer,
        RegularizerKind::NAMES,
        full::<RegularizerConfig>,
    );
    add(Role::Miner, MinerKind::NAMES, full::<MinerConfig>);
    add(Role::Loss, LossKind::NAMES, full::<LossConfig>);
    add(Role::Sampler, SamplerConfig::NAMES, full::<SamplerConfig>);
    add(Role::Index, KnnConfig::NAMES, full::<KnnConfig>);
    add(
        Role::Classifier,
        ClassifierConfig::NAMES,
        full::<ClassifierConfig>,
    );
    add(
        Role::Clusterer,
        ClustererConfig::NAMES,
        full::<ClustererConfig>,
    );
    add(Role::Match, MatchConfig::NAMES, full::<MatchConfig>);
    add(
        Role::Inference,
        InferenceConfig::NAMES,
        full::<InferenceConfig>,
    );
    add(
        Role::Evaluation,
        EvaluationConfig::NAMES,
        full::<EvaluationConfig>,
    );
    add(
        Role::Projection,
        ProjectionConfig::NAMES,
        full::<ProjectionConfig>,
    );
    add(Role::Rerank, RerankConfig::NAMES, full::<RerankConfig>);
    add(Role::Tester, TesterKind::NAMES, full::<TesterKind>);
    add(Role::WeightInit, WeightInit::NAMES, full::<WeightInit>);
    all
}

/// A configuration as it is written when every field is.
fn full<T: DeserializeOwned + Serialize>(config: Value) -> Result<Value, ConfigError> {
    Ok(serde_json::to_value(from_value::<T>(config)?)?)
}

/// The arguments that a component can't do without, and other sets of them that are worth a look.
fn given(role: Role, name: &str) -> Vec<Map<String, Value>> {
    let loss = json!({"name": "ContrastiveLoss"});
    let sets = match (role, name) {
        (Role::Distance, "BatchedDistance") => json!([{"distance": {"name": "LpDistance"}}]),
        (Role::Distance, "MahalanobisDistance") => json!([{"embedding_size": DIM, "rank": 2}]),
        (Role::Reducer, "ClassWeightedReducer") => json!([{"weights": [1, 2, 0.5]}]),
        (Role::Reducer, "ThresholdReducer") => json!([{"low": 0.1, "high": 2}]),
        (Role::Reducer, "MultipleReducers") => {
            json!([{"reducers": {"loss": {"name": "ThresholdReducer", "low": 0.1}}}])
        }
        (Role::Regularizer, "SparseCentersRegularizer") => {
            json!([{"num_classes": 2, "centers_per_class": 4}])
        }
        (Role::Miner, "BatchEasyHardMiner") => {
            json!([{"allowed_pos_range": [0, 2]}, {"pos_strategy": "easy"}])
        }
        (Role::Loss, "RankedListLoss") => json!([{"margin": 0.4, "Tn": 10}]),
        (Role::Loss, "ManifoldLoss") => json!([{"l": DIM, "K": CLASSES}]),
        (Role::Loss, "HistogramLoss") => json!([{"n_bins": 10}, {"delta": 0.1}]),
        (Role::Loss, "MarginLoss") => json!([{"num_classes": CLASSES, "learn_beta": true}]),
        (Role::Loss, "CrossBatchMemory") => json!([{
            "loss": loss, "embedding_size": DIM, "memory_size": 16, "miner": {"name": "PairMarginMiner"},
        }]),
        (Role::Loss, "SelfSupervisedLoss") => json!([{"loss": loss}]),
        (Role::Loss, "MultipleLosses") => {
            json!([{"losses": [loss, {"name": "TripletMarginLoss"}], "weights": [1, 0.5]}])
        }
        (Role::Loss, "TripletMarginLoss") => json!([
            {"triplets_per_anchor": 3},
            {
                "distance": {"name": "LpDistance", "p": 3},
                "reducer": {"name": "PerAnchorReducer", "reducer": {"name": "ThresholdReducer", "low": 0.1}},
                "embedding_regularizer": {"name": "LpRegularizer"},
                "embedding_reg_weight": 0.5,
            },
            {"distance": {"name": "MahalanobisDistance", "embedding_size": DIM, "rank": 2}},
        ]),
        (Role::Loss, "ArcFaceLoss") => json!([{
            "num_classes": CLASSES, "embedding_size": DIM,
            "weight_init_func": {"name": "TorchInitWrapper", "init_func": "trunc_normal_"},
            "weight_regularizer": {"name": "RegularFaceRegularizer"}, "weight_reg_weight": 0.5,
        }]),
        (Role::Loss, _) => {
            return vec![LossKind::sizes(name, CLASSES, DIM)];
        }
        (Role::Sampler, "MPerClassSampler") => json!([
            {"m": 2, "batch_size": 4, "length_before_new_iter": 8},
            {"m": 2, "coverage": true},
        ]),
        (Role::Sampler, "HierarchicalSampler") => {
            json!([{"batch_size": 4, "samples_per_class": 1}, {"batch_size": 4, "samples_per_class": "all"}])
        }
        (Role::Sampler, "FixedSetOfTriplets") => json!([{"num_triplets": 5, "batch_size": 6}]),
        (Role::Sampler, "TuplesToWeightsSampler") => {
            json!([{"miner": {"name": "MultiSimilarityMiner"}, "subset_size": 6}])
        }
        (Role::Index, "CustomKNN") => {
            json!([{"distance": {"name": "LpDistance", "p": 1}, "batch_size": 3}])
        }
        (Role::Classifier, _) => json!([{"k": 2}]),
        (Role::Clusterer, "GivenClusters") => json!([{"labels": [0, 0, 1, 1, 2, 2, 0, 1]}]),
        (Role::Match, _) => json!([{"distance": {"name": "CosineSimilarity"}, "threshold": 0.5}]),
        (Role::Inference, _) => json!([{
            "trunk": {"name": "Identity"},
            "match_finder": {"name": "MatchFinder", "distance": {"name": "LpDistance"}, "threshold": 0.5},
        }]),
        (Role::Evaluation, _) => json!([{"k": 3, "retrieval": ["precision_at_2", "ndcg_at_3"]}]),
        (Role::Projection, "TSne") => json!([{"perplexity": 1.5, "iterations": 20}]),
        (Role::WeightInit, _) => json!([
            {"init_func": "uniform_"}, {"init_func": "normal_"}, {"init_func": "trunc_normal_"},
            {"init_func": "constant_", "val": 0.5}, {"init_func": "xavier_uniform_"},
            {"init_func": "xavier_normal_"}, {"init_func": "kaiming_uniform_"},
            {"init_func": "kaiming_normal_"}, {"init_func": "orthogonal_"},
        ]),
        _ => json!([{}]),
    };
    let Value::Array(sets) = sets else {
        return Vec::new();
    };
    let set = |set| match set {
        Value::Object(set) => Some(set),
        _ => None,
    };
    sets.into_iter().filter_map(set).collect()
}
