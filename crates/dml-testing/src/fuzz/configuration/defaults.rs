//! Every component with all of its fields.

use dml::config::{BatchSizes, ConfigError, from_value};
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
    let of_role = |&role: &Role| {
        role.examples()
            .into_iter()
            .map(move |config| (role, config))
    };
    Role::ALL.iter().flat_map(of_role).collect()
}

/// The examples of the components of these names.
pub(super) fn of_registry(
    names: &[&str],
    examples: fn(&str, BatchSizes) -> Vec<Value>,
) -> Vec<Value> {
    names
        .iter()
        .flat_map(|name| examples(name, SIZES))
        .collect()
}

/// Every distribution of first weights.
pub(super) fn distributions() -> Vec<Value> {
    let mut configs = vec![
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
    for config in &mut configs {
        config["name"] = json!(WeightInit::NAMES[0]);
    }
    configs
}

/// A configuration as it is written when every field is.
pub(super) fn full<T: DeserializeOwned + Serialize>(config: Value) -> Value {
    let written = |config| -> Result<Value, ConfigError> {
        Ok(serde_json::to_value(from_value::<T>(config)?)?)
    };
    written(config.clone()).unwrap_or_else(|error| panic!("{config}: {error}"))
}
