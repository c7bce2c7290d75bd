//! Folders of encoders: `config.json` with the kind of the model, and `model.safetensors`.

use std::fs;
use std::path::Path;

use dml_core::durable;
use dml_core::rand_chacha::ChaCha8Rng;
use dml_nn::Layer;
use rand::SeedableRng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{ModelError, Result};
use crate::load::load;
use crate::names::Names;
use crate::save::save;
use crate::weights::Weights;

/// The file of the configuration.
pub(crate) const CONFIG_FILE: &str = "config.json";
/// The file of the weights.
pub(crate) const WEIGHTS_FILE: &str = "model.safetensors";

/// The content of `config.json`.
#[derive(Serialize, Deserialize)]
struct ConfigFile {
    model_type: String,
    #[serde(flatten)]
    config: Map<String, Value>,
}

/// The configuration of a folder, whose `model_type` must be this one.
pub(crate) fn read_config<C: DeserializeOwned>(folder: &Path, model_type: &str) -> Result<C> {
    let path = folder.join(CONFIG_FILE);
    let bytes = fs::read(&path).map_err(ModelError::io("read", &path))?;
    let damaged = |error: serde_json::Error| ModelError::format(&path, error.to_string());
    let file: ConfigFile = serde_json::from_slice(&bytes).map_err(damaged)?;
    if file.model_type != model_type {
        let got = file.model_type;
        let problem = format!("model_type: expected {model_type}, found {got}");
        return Err(ModelError::format(&path, problem));
    }
    serde_json::from_value(file.config.into()).map_err(damaged)
}

/// The encoder of a folder: `new` makes one of the configuration, and all its weights are replaced by those of the file.
pub(crate) fn read<C: DeserializeOwned, E: Layer>(
    folder: &Path,
    model_type: &str,
    new: impl FnOnce(C, &mut ChaCha8Rng) -> Result<E>,
) -> Result<E> {
    let config = read_config(folder, model_type)?;
    let encoder = new(config, &mut ChaCha8Rng::seed_from_u64(0))?;
    let weights = Weights::open(folder.join(WEIGHTS_FILE))?;
    load(&encoder, &weights, &Names::default())?;
    Ok(encoder)
}

/// Writes both files; the folder is created if it is absent. Each file is whole or absent.
pub(crate) fn write(
    folder: &Path,
    model_type: &str,
    config: &impl Serialize,
    network: &impl Layer,
) -> Result<()> {
    fs::create_dir_all(folder).map_err(ModelError::io("create", folder))?;
    save(network, folder.join(WEIGHTS_FILE))?;
    let path = folder.join(CONFIG_FILE);
    let json = |error: serde_json::Error| ModelError::format(&path, error.to_string());
    let Value::Object(config) = serde_json::to_value(config).map_err(json)? else {
        return Err(ModelError::format(&path, "expected an object"));
    };
    let file = ConfigFile {
        model_type: model_type.to_owned(),
        config,
    };
    let bytes = serde_json::to_vec_pretty(&file).map_err(json)?;
    durable::write(&path, &bytes).map_err(ModelError::io("write", &path))
}
