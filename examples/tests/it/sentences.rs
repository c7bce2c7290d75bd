//! The sentence encoder, and what it learns.

use std::fs;
use std::path::Path;

use dml::candle_core::{DType, Device};
use dml_examples::sentences::{Args, run};
use dml_models::Weights;
use dml_models::text::TextConfig;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A BERT of two layers over the words of a list, as `config.json` has it.
const CONFIG: &str = r#"{
    "vocab_size": 12, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24,
    "hidden_act": "gelu", "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    "max_position_embeddings": 10, "type_vocab_size": 2, "initializer_range": 0.5, "layer_norm_eps": 1e-12,
    "pad_token_id": 0, "classifier_dropout": null, "model_type": "bert"
}"#;

const TOKENIZER: &str = r#"{
    "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
    "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
    "model": {"type": "WordLevel", "unk_token": "[UNK]", "vocab": {
        "[PAD]": 0, "[UNK]": 1, "red": 2, "blue": 3, "big": 4, "small": 5, "rot": 6, "blau": 7, "gross": 8, "klein": 9,
        "ball": 10, "auto": 11
    }}
}"#;

/// Writes a folder as Hugging Face has it, with random weights.
fn model(folder: &Path) {
    fs::write(folder.join("config.json"), CONFIG).unwrap();
    fs::write(folder.join("tokenizer.json"), TOKENIZER).unwrap();
    let config = TextConfig::from_json(CONFIG).unwrap();
    let rng = &mut ChaCha8Rng::seed_from_u64(5);
    let network = config.build(rng, DType::F32, &Device::Cpu).unwrap();
    dml_models::save(&network, folder.join("model.safetensors")).unwrap();
}

fn args() -> Args {
    Args {
        model: None,
        pairs: None,
        test: 200,
        epochs: 10,
        batch: 32,
        lr: 0.002,
        tokens: 64,
        seed: 0,
        out: None,
    }
}

#[test]
fn a_random_encoder_learns_an_invented_language() {
    let small = Args {
        epochs: 4,
        ..args()
    };
    let mut out = Vec::new();
    let accuracy = run(&small, &mut out).unwrap();
    assert!(
        accuracy.before < 0.2 && accuracy.after > 0.6,
        "{accuracy:?}"
    );
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with("an anchor finds its positive first among 200"),
        "{text}"
    );
}

#[test]
fn an_encoder_in_a_folder_is_fine_tuned_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    model(folder);
    let lines = [
        "red ball\trot ball",
        "blue auto\tblau auto",
        "big ball\tgross ball",
        "small auto\tklein auto",
    ];
    let pairs = folder.join("pairs.tsv");
    fs::write(&pairs, lines.repeat(6).join("\n")).unwrap();
    let out = folder.join("tuned.safetensors");
    let tuning = Args {
        model: Some(folder.to_owned()),
        pairs: Some(pairs.clone()),
        test: 4,
        epochs: 20,
        batch: 4,
        out: Some(out.clone()),
        ..args()
    };
    let accuracy = run(&tuning, &mut Vec::new()).unwrap();
    assert!(accuracy.after >= accuracy.before, "{accuracy:?}");
    let (before, after) = (folder.join("model.safetensors"), out);
    let [before, after] = [before, after].map(|path| Weights::open(path).unwrap());
    assert!(before.names().eq(after.names()));
    let word = |weights: &Weights| {
        let name = "embeddings.word_embeddings.weight";
        let tensor = weights.tensor(name, DType::F32, &Device::Cpu).unwrap();
        tensor.to_vec2::<f32>().unwrap()
    };
    assert_ne!(word(&before), word(&after));

    let said = |args: &Args| format!("{:#}", run(args, &mut Vec::new()).unwrap_err());
    fs::write(&pairs, "red ball\trot ball\nno tab\n").unwrap();
    assert!(
        said(&tuning)
            .ends_with("pairs.tsv, line 2: expected two sentences with a tab between them")
    );
    fs::write(&pairs, "red ball\trot ball\n").unwrap();
    assert!(said(&tuning).starts_with("expected more than 7 pairs"));
    fs::write(folder.join("config.json"), CONFIG.replace("16", "20")).unwrap();
    assert!(said(&tuning).contains("expected [12, 20], got [12, 16]"));
    let nowhere = Args {
        model: Some("no/such/folder".into()),
        ..args()
    };
    assert!(said(&nowhere).contains("config.json"));
}
