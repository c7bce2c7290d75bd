//! The sentence encoder: one set of weights in two models, and what it learns.

use std::fs;
use std::path::Path;

use candle_transformers::models::bert::Config;
use dml::candle_core::{Device, ModuleT, Tensor};
use dml_examples::sentences::{Args, Encoder, Weights, run};
use tokenizers::Tokenizer;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::pre_tokenizers::whitespace::Whitespace;

/// A BERT of two layers over the words of a list, as `config.json` has it.
const CONFIG: &str = r#"{
    "vocab_size": 12, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24,
    "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "max_position_embeddings": 10, "type_vocab_size": 2,
    "initializer_range": 0.5, "layer_norm_eps": 1e-12, "pad_token_id": 0, "classifier_dropout": null,
    "model_type": "bert"
}"#;

fn config() -> Config {
    serde_json::from_str(CONFIG).unwrap()
}

/// Writes a folder as Hugging Face has it, with random weights.
fn model(folder: &Path) {
    fs::write(folder.join("config.json"), CONFIG).unwrap();
    let weights = Weights::random(&config(), 5).unwrap();
    weights.save(&folder.join("model.safetensors")).unwrap();
    let words = "[PAD] [UNK] red blue big small rot blau gross klein ball auto";
    let vocabulary = words.split(' ').map(str::to_owned).zip(0u32..);
    let words = WordLevel::builder()
        .vocab(vocabulary.collect())
        .unk_token("[UNK]".to_owned())
        .build()
        .unwrap();
    let mut tokenizer = Tokenizer::new(words);
    tokenizer.with_pre_tokenizer(Some(Whitespace));
    let path = folder.join("tokenizer.json");
    tokenizer.save(path, false).unwrap();
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
fn both_models_give_the_same_numbers_and_one_has_gradients() {
    let weights = Weights::random(&config(), 5).unwrap();
    let encoder = Encoder::new(config(), weights).unwrap();
    let device = &Device::Cpu;
    let tokens = Tensor::new(&[[2u32, 5, 3, 0, 0], [7, 1, 11, 4, 9]], device).unwrap();
    let mask = tokens.ne(0u32).unwrap();
    let states = |train| encoder.states(&tokens, &mask, train).unwrap();
    let own = (states(true) - states(false)).unwrap();
    // Padding sees and is seen by nothing that counts.
    let own = own.broadcast_mul(&mask.to_dtype(own.dtype()).unwrap().unsqueeze(2).unwrap());
    let gap = own.unwrap().abs().unwrap().max_all().unwrap();
    let gap: f32 = gap.to_scalar().unwrap();
    assert!(gap < 1e-4, "{gap}");

    let embeddings = encoder.forward_t(&tokens, true).unwrap();
    assert_eq!(embeddings.dims(), [2, 16]);
    let weights = Tensor::new(&[[1f32], [-2.]], device).unwrap();
    let loss = embeddings.sqr().unwrap().broadcast_mul(&weights).unwrap();
    let gradients = loss.sum_all().unwrap().backward().unwrap();
    for (name, var) in encoder.weights().iter() {
        let gradient = gradients.get(var);
        let gradient = gradient.unwrap_or_else(|| panic!("{name}: no gradient"));
        let largest: f32 = gradient
            .abs()
            .unwrap()
            .max_all()
            .unwrap()
            .to_scalar()
            .unwrap();
        // A key's summand adds the same to all scores of a query, which changes nothing.
        let is_key_bias = name.ends_with("key.bias");
        assert!(is_key_bias || largest > 0.0, "{name}");
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
        epochs: 5,
        batch: 4,
        out: Some(out.clone()),
        ..args()
    };
    let accuracy = run(&tuning, &mut Vec::new()).unwrap();
    assert!(accuracy.after >= accuracy.before, "{accuracy:?}");
    let read = |path: &Path| Weights::read(path, &config()).unwrap();
    let word = |weights: &Weights| {
        let (_, var) = weights.iter().next().unwrap();
        var.to_vec2::<f32>().unwrap()
    };
    let (before, after) = (read(&folder.join("model.safetensors")), read(&out));
    assert_ne!(word(&before), word(&after));
    // Older files, with a head and other names.
    let tensors = after.iter().map(|(name, var)| {
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
        (format!("bert.{name}"), var.as_tensor().clone())
    });
    let mut tensors: std::collections::HashMap<_, _> = tensors.collect();
    let head = Tensor::zeros(3, dml::candle_core::DType::F32, &Device::Cpu).unwrap();
    tensors.insert("cls.bias".to_owned(), head);
    let old = folder.join("old.safetensors");
    dml::core::checkpoint::save(&old, &tensors).unwrap();
    assert_eq!(word(&read(&old)), word(&after));

    let said = |args: &Args| format!("{:#}", run(args, &mut Vec::new()).unwrap_err());
    fs::write(&pairs, "red ball\trot ball\nno tab\n").unwrap();
    assert!(
        said(&tuning)
            .ends_with("pairs.tsv, line 2: expected two sentences with a tab between them")
    );
    fs::write(&pairs, "red ball\trot ball\n").unwrap();
    assert!(said(&tuning).starts_with("expected more than 7 pairs"));
    fs::write(folder.join("config.json"), CONFIG.replace("16", "20")).unwrap();
    assert!(said(&tuning).contains("expected shape [12, 20], got [12, 16]"));
    let nowhere = Args {
        model: Some("no/such/folder".into()),
        ..args()
    };
    assert!(said(&nowhere).contains("config.json"));
}
