//! Configurations of every component, built and used.

mod defaults;
mod odd;
mod used;

use dml::config::from_value;
use serde_json::Value;

pub use defaults::defaults;
pub use odd::{odd_values, with_odd_values};

/// What a component is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A distance.
    Distance,
    /// A reducer.
    Reducer,
    /// A regularizer of embeddings.
    Regularizer,
    /// A miner.
    Miner,
    /// A loss with its collaborators.
    Loss,
    /// A sampler.
    Sampler,
    /// An index.
    Index,
    /// A classifier by neighbours.
    Classifier,
    /// A clusterer.
    Clusterer,
    /// A finder of matches.
    Match,
    /// A model for inference.
    Inference,
    /// An accuracy calculator.
    Evaluation,
    /// A projection.
    Projection,
    /// A re-ranking.
    Rerank,
    /// A tester.
    Tester,
    /// A distribution of first weights.
    WeightInit,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 16] = [
        Self::Distance,
        Self::Reducer,
        Self::Regularizer,
        Self::Miner,
        Self::Loss,
        Self::Sampler,
        Self::Index,
        Self::Classifier,
        Self::Clusterer,
        Self::Match,
        Self::Inference,
        Self::Evaluation,
        Self::Projection,
        Self::Rerank,
        Self::Tester,
        Self::WeightInit,
    ];
}

/// Builds a component from its configuration, and if that is possible, uses it on eight rows: losses and regularizers
/// forward and backward.
///
/// # Errors
/// What the component says against its configuration or the rows.
pub fn exercise(role: Role, config: Value) -> Result<(), Box<dyn std::error::Error>> {
    match role {
        Role::Distance => used::distance(&from_value(config)?),
        Role::Reducer => used::reducer(&from_value(config)?),
        Role::Regularizer => used::regularizer(&from_value(config)?),
        Role::Miner => used::miner(&from_value(config)?),
        Role::Loss => used::loss(&from_value(config)?),
        Role::Sampler => used::sampler(&from_value(config)?),
        Role::Index => used::index(&from_value(config)?),
        Role::Classifier => used::classifier(&from_value(config)?),
        Role::Clusterer => used::clusterer(&from_value(config)?),
        Role::Match => used::match_finder(&from_value(config)?),
        Role::Inference => used::inference(&from_value(config)?),
        Role::Evaluation => used::evaluation(&from_value(config)?),
        Role::Projection => used::projection(&from_value(config)?),
        Role::Rerank => used::rerank(&from_value(config)?),
        Role::Tester => used::tester(&from_value(config)?),
        Role::WeightInit => used::weight_init(&from_value(config)?),
    }
}

/// JSON of a component of any role.
pub(super) fn run(bytes: &[u8]) {
    let Ok(config) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    if is_heavy(&config) {
        return;
    }
    for role in Role::ALL {
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
