//! Downloads from a hub on the loopback interface into a cache.

mod contents;
mod hostile;
mod offline;
mod python;
mod refusals;
mod resuming;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use candle_core::{DType, Device, Tensor};
use dml_models::hub::{HubConfig, HubFolder, HubModel, Result};
use dml_models::text::{Pooling, TextConfig, TextEncoder};
use dml_models::{Names, Weights, save};
use dml_nn::Layer;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use server::{Hub, Trouble};

const NAME: &str = "owner/name";

/// Settings for a hub that answers at once or never.
fn config(hub: &Hub, cache: &Path) -> HubConfig {
    let mut config = HubConfig::from_env().unwrap();
    config.endpoint = hub.endpoint();
    config.cache = cache.to_path_buf();
    (config.token, config.offline) = (None, false);
    (config.first_wait, config.longest_wait) = (Duration::ZERO, Duration::ZERO);
    config.attempts = 3;
    config.stall_timeout = Duration::from_secs(20);
    config.answer_timeout = Duration::from_secs(20);
    config.proxy_from_environment = false;
    config
}

fn model(hub: &Hub, cache: &Path) -> HubModel {
    HubModel::new(NAME).config(config(hub, cache))
}

/// Bytes that differ from each other.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i * i % 251) as u8).collect()
}

/// All files below a folder that are no links, by their paths.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(own) = folders.pop() {
        for entry in fs::read_dir(&own).into_iter().flatten() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let path = entry.path();
                let path = path.strip_prefix(folder).unwrap();
                found.push(path.to_str().unwrap().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

fn one_file(hub: &Hub, count: usize) -> Vec<u8> {
    let contents = bytes(count);
    hub.push(NAME, &[("model.safetensors", &contents)]);
    contents
}

fn part_of(cache: &Path) -> PathBuf {
    let blobs = cache.join("models--owner--name/blobs");
    let mut parts = fs::read_dir(blobs)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_part = |path: &PathBuf| path.extension().is_some_and(|end| end == "incomplete");
    parts.find(is_part).unwrap()
}

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(5)
}

const CONFIG: &str = r#"{"model_type": "bert", "vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 10, "initializer_range": 0.5}"#;
const MODULES: &str = r#"[
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]"#;
const POOLING: &str = r#"{"word_embedding_dimension": 8, "pooling_mode_cls_token": true}"#;

/// A small encoder's weights as a file.
fn weights() -> Vec<u8> {
    let network = TextConfig::from_json(CONFIG).unwrap();
    let network = network.build(&mut rng(), DType::F32, &Device::Cpu).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    save(&network, &path).unwrap();
    fs::read(path).unwrap()
}

/// A folder of sentence-transformers beside what other programs keep there.
fn push_encoder(hub: &Hub) -> String {
    let contents = weights();
    hub.push(
        NAME,
        &[
            (".gitattributes", b"*.bin filter=lfs"),
            ("1_Pooling/config.json", POOLING.as_bytes()),
            ("config.json", CONFIG.as_bytes()),
            ("model.safetensors", &contents),
            ("modules.json", MODULES.as_bytes()),
            ("onnx/model.onnx", &bytes(100)),
            ("pytorch_model.bin", &bytes(200)),
            ("sentence_bert_config.json", br#"{"max_seq_length": 7}"#),
        ],
    )
}

fn embeddings(folder: impl AsRef<Path>) -> Vec<Vec<f32>> {
    let encoder = TextEncoder::read(folder, &mut rng(), DType::F32, &Device::Cpu).unwrap();
    assert_eq!(
        (encoder.pooling(), encoder.max_seq_length()),
        (Pooling::Cls, 7)
    );
    let ids = Tensor::new(&[[2u32, 5, 7], [3, 4, 0]], &Device::Cpu).unwrap();
    encoder.forward(&ids).unwrap().to_vec2().unwrap()
}

/// The parts of the folder of the cache that a whole download leaves.
fn assert_whole(folder: &HubFolder, cache: &Path) {
    assert!(folder.path().starts_with(cache));
    let left = files(cache);
    assert!(
        left.iter().all(|name| !name.ends_with(".incomplete")),
        "{left:?}"
    );
}
