//! Text encoders beside transformers and sentence-transformers (`generate/text.py`).

use candle_core::{DType, Device, Tensor};
use dml_models::text::TextConfig;
use dml_nn::Layer;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::formula::{Case, fill};
use crate::parity::golden;

/// Relative to the norm of the tensor. The files have ten digits.
const TOLERANCE: f64 = 2e-6;

#[derive(serde::Deserialize)]
struct Golden {
    config: serde_json::Value,
    ids: Vec<Vec<u32>>,
    #[serde(flatten)]
    case: Case,
}

fn check(name: &str, tolerance: f64) {
    let golden: Golden = serde_json::from_str(&golden(&format!("text_{name}.json"))).unwrap();
    let config = TextConfig::from_json(&golden.config.to_string()).unwrap();
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let network = config.build(rng, DType::F64, &Device::Cpu).unwrap();
    fill(&network);
    let ids = Tensor::new(golden.ids, &Device::Cpu).unwrap();
    let mask = ids.ne(network.pad_token_id()).unwrap();
    let mask = mask.to_dtype(DType::F64).unwrap().unsqueeze(2).unwrap();
    let states = network.forward(&ids).unwrap();
    let features = states.broadcast_mul(&mask).unwrap();
    golden.case.assert(name, &features, &network, tolerance);
}

#[test]
fn bert() {
    check("bert", TOLERANCE);
}

#[test]
fn roberta() {
    check("roberta", TOLERANCE);
}

#[test]
fn distilbert() {
    check("distilbert", TOLERANCE);
}

#[test]
fn mpnet() {
    check("mpnet", TOLERANCE);
}

/// Upstream computes rotary positions and the softmax in single precision.
#[test]
fn modernbert() {
    check("modernbert", 2e-5);
}

/// Embeddings of a published encoder: its folder in `DML_MODELS_TEXT`, the file of `generate/text.py embeddings` in
/// `DML_MODELS_TEXT_EMBEDDINGS`. Writes the encoder to the folder `text` in `DML_MODELS_SAVED` for `generate/text.py
/// read_back`.
#[cfg(feature = "text")]
#[test]
fn sentences_have_sentence_transformers_embeddings() {
    use dml_models::text::{TextEncoder, TextTokenizer};

    #[derive(serde::Deserialize)]
    struct Sentences {
        texts: Vec<String>,
        embeddings: Vec<Vec<f32>>,
    }

    let paths = ["DML_MODELS_TEXT", "DML_MODELS_TEXT_EMBEDDINGS"].map(std::env::var_os);
    let [Some(folder), Some(expected)] = paths else {
        println!("skipped: DML_MODELS_TEXT or DML_MODELS_TEXT_EMBEDDINGS is not set");
        return;
    };
    let expected = std::fs::read_to_string(expected).unwrap();
    let expected: Sentences = serde_json::from_str(&expected).unwrap();
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let encoder = TextEncoder::read(&folder, rng, DType::F32, &Device::Cpu).unwrap();
    let tokenizer = TextTokenizer::read(&folder, &encoder, usize::MAX).unwrap();
    let texts: Vec<&str> = expected.texts.iter().map(String::as_str).collect();
    let ids = tokenizer.encode_batch(&texts, &Device::Cpu).unwrap();
    let got = encoder.forward(&ids).unwrap().to_vec2::<f32>().unwrap();
    let mut largest = 0f32;
    for (got, expected) in got
        .iter()
        .flatten()
        .zip(expected.embeddings.iter().flatten())
    {
        largest = largest.max((got - expected).abs());
    }
    println!("{:?}: largest difference {largest:e}", ids.dims());
    assert!(largest < 1e-4);
    if let Some(out) = std::env::var_os("DML_MODELS_SAVED") {
        encoder
            .write(std::path::Path::new(&out).join("text"))
            .unwrap();
    }
}
