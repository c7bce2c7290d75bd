//! The wrapper around the function in a configuration, and the defaults of its arguments.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::WeightInit;

pub(super) fn one() -> f64 {
    1.0
}

pub(super) fn two() -> f64 {
    2.0
}

pub(super) fn minus_two() -> f64 {
    -2.0
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "name")]
enum Wrapper {
    TorchInitWrapper(Function),
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Function(#[serde(with = "WeightInit")] WeightInit);

impl Serialize for WeightInit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(
            &Wrapper::TorchInitWrapper(Function(self.clone())),
            serializer,
        )
    }
}

impl<'de> Deserialize<'de> for WeightInit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wrapper::TorchInitWrapper(Function(function)) = Deserialize::deserialize(deserializer)?;
        Ok(function)
    }
}
