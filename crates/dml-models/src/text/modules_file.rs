//! The small JSON files of a sentence-transformers folder.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::pooling::Pooling;
use crate::error::{ModelError, Result};

/// Most bytes of a JSON file with settings.
const MOST_BYTES: u64 = 1 << 24;

/// The text of a file with settings.
pub(super) fn read(path: &Path) -> Result<String> {
    String::from_utf8(bytes(path)?)
        .map_err(|_| ModelError::format(path, "expected Unicode, found other bytes"))
}

/// The bytes of a file with settings or a tokenizer.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(ModelError::io("read", path))?;
    let mut bytes = Vec::new();
    let mut bounded = file.take(MOST_BYTES + 1);
    bounded
        .read_to_end(&mut bytes)
        .map_err(ModelError::io("read", path))?;
    if bytes.len() as u64 > MOST_BYTES {
        let problem = format!("expected at most {MOST_BYTES} bytes, found more");
        return Err(ModelError::format(path, problem));
    }
    Ok(bytes)
}

/// A JSON file.
pub(super) fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = read(path)?;
    serde_json::from_str(&text).map_err(|error| ModelError::format(path, error.to_string()))
}

/// A JSON file that may be absent.
pub(super) fn optional_json<T: DeserializeOwned + Default>(path: &Path) -> Result<T> {
    if path.is_file() {
        json(path)
    } else {
        Ok(T::default())
    }
}

/// An entry of `modules.json`.
#[derive(Clone, Debug, serde::Deserialize)]
pub(super) struct ModuleEntry {
    /// Folder of the module; empty for the folder itself.
    pub(super) path: String,
    /// Python class.
    #[serde(rename = "type")]
    kind: String,
}

impl ModuleEntry {
    pub(super) fn new(path: &str, kind: &str) -> Self {
        Self {
            path: path.to_owned(),
            kind: format!("sentence_transformers.models.{kind}"),
        }
    }

    /// Name of the class without its package, which differs between versions.
    pub(super) fn class(&self) -> &str {
        match self.kind.strip_prefix("sentence_transformers.") {
            Some(class) => class.rsplit('.').next().unwrap_or(class),
            None => &self.kind,
        }
    }
}

/// `sentence_bert_config.json`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct TransformerFile {
    pub(super) max_seq_length: Option<usize>,
    pub(super) do_lower_case: bool,
}

/// `config.json` of a `Dense`.
#[derive(Clone, Debug, serde::Deserialize)]
pub(super) struct DenseFile {
    pub(super) in_features: usize,
    pub(super) out_features: usize,
    #[serde(default = "yes")]
    pub(super) bias: bool,
    #[serde(default)]
    pub(super) activation_function: super::dense::DenseActivation,
    #[serde(default)]
    pub(super) use_residual: bool,
}

fn yes() -> bool {
    true
}

/// Refuses a module that reads or writes something else than the embedding.
pub(super) fn on_embeddings(path: &Path) -> Result<()> {
    let settings: Value = optional_json(path)?;
    for key in ["module_input_name", "module_output_name"] {
        match settings.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::String(name)) if name == "sentence_embedding" => {}
            Some(other) => {
                let problem = format!("{key}: expected \"sentence_embedding\", found {other}");
                return Err(ModelError::format(path, problem));
            }
        }
    }
    Ok(())
}

/// The names of the poolings in files up to version 5, in which each is true or false.
const FLAGS: [(&str, Pooling); 6] = [
    ("pooling_mode_cls_token", Pooling::Cls),
    ("pooling_mode_max_tokens", Pooling::Max),
    ("pooling_mode_mean_tokens", Pooling::Mean),
    (
        "pooling_mode_mean_sqrt_len_tokens",
        Pooling::MeanSqrtLenTokens,
    ),
    ("pooling_mode_weightedmean_tokens", Pooling::WeightedMean),
    ("pooling_mode_lasttoken", Pooling::LastToken),
];

/// The pooling of a `config.json` of `Pooling`.
pub(super) fn pooling(path: &Path) -> Result<Pooling> {
    let settings: Value = json(path)?;
    let wrong = |problem: String| ModelError::format(path, problem);
    let several = |names: String| wrong(format!("expected one pooling, found {names}"));
    match settings.get("pooling_mode") {
        Some(Value::Array(modes)) if modes.len() != 1 => {
            Err(several(Value::Array(modes.clone()).to_string()))
        }
        Some(mode) => {
            let mode = match mode {
                Value::Array(modes) => &modes[0],
                other => other,
            };
            serde_json::from_value(mode.clone())
                .map_err(|error| wrong(format!("pooling_mode: {error}")))
        }
        None => {
            let on = |name: &str| settings.get(name).and_then(Value::as_bool) == Some(true);
            let chosen: Vec<_> = FLAGS.iter().filter(|(name, _)| on(name)).collect();
            match chosen.as_slice() {
                // Upstream's default.
                [] => Ok(Pooling::Mean),
                [(_, pooling)] => Ok(*pooling),
                more => {
                    let names: Vec<&str> = more.iter().map(|(name, _)| *name).collect();
                    Err(several(names.join(", ")))
                }
            }
        }
    }
}
