//! Text encoders in the commands that read a model.

use std::fs;

use dml::candle_core::{DType, Device};
use dml::core::rand::SeedableRng;
use dml::core::rand_chacha::ChaCha8Rng;
use dml::models::text::TextConfig;

use crate::program::Folder;

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

/// A folder with `encoder/` and `labelled.csv` of four classes.
fn folder() -> Folder {
    let own = Folder::new();
    own.write("encoder/config.json", CONFIG);
    own.write("encoder/tokenizer.json", TOKENIZER);
    let rng = &mut ChaCha8Rng::seed_from_u64(5);
    let network = TextConfig::from_json(CONFIG)
        .unwrap()
        .build(rng, DType::F32, &Device::Cpu)
        .unwrap();
    dml::models::save(&network, own.path("encoder/model.safetensors")).unwrap();
    let mut labelled = "text,label,split\n".to_owned();
    for (color, farbe) in [("red", "rot"), ("blue", "blau")] {
        for (size, mass) in [("big", "gross"), ("small", "klein")] {
            for thing in ["ball", "auto"] {
                for text in [
                    format!("{color} {size} {thing}"),
                    format!("{thing} {size} {color}"),
                    format!("{farbe} {mass} {thing}"),
                    format!("{mass} {thing} {farbe}"),
                ] {
                    labelled.push_str(&format!("{text},{color} {thing},{thing}s\n"));
                }
            }
        }
    }
    own.write("labelled.csv", labelled);
    fs::remove_file(own.path("dml.toml")).unwrap();
    own
}

#[test]
fn labelled_texts_are_evaluated_embedded_indexed_and_mined() {
    let folder = folder();
    let out = folder.done(&[
        "evaluate",
        "encoder",
        "labelled.csv",
        "--metrics",
        "NMI,precision_at_1",
    ]);
    assert!(
        out.contains("32 texts of 4 classes") && out.contains("NMI"),
        "{out}"
    );
    let args = ["evaluate", "encoder", "labelled.csv", "--split", "balls"];
    let out = folder.done(&args);
    assert!(out.contains("16 texts of 2 classes"), "{out}");

    folder.done(&["embed", "encoder", "labelled.csv", "-o", "e.csv"]);
    assert_eq!(folder.text("e.csv").lines().count(), 33);
    let out = folder.done(&["index", "encoder", "labelled.csv", "-o", "t.dml"]);
    assert!(out.contains("32 texts"), "{out}");
    let search = [
        "search",
        "t.dml",
        "--model",
        "encoder",
        "--text",
        "red big ball",
    ];
    let out = folder.done(&[&search[..], &["-k", "2", "--json"]].concat());
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found["hits"][0]["attributes"]["text"], "red big ball");
    assert_eq!(found["hits"].as_array().unwrap().len(), 2);
    let args = ["mine", "encoder", "labelled.csv", "-o", "triplets.csv"];
    assert!(folder.done(&args).contains("32 triplets of 32 anchors"));
    folder.done(&["calibrate", "encoder", "labelled.csv", "--f1"]);
    let shown = folder.done(&["inspect", "encoder"]);
    assert!(shown.contains("text encoder"), "{shown}");
    let shown = folder.done(&["inspect", "labelled.csv"]);
    assert!(
        shown.contains("32 texts of 4 classes, 8 to 8 of each"),
        "{shown}"
    );
    folder.done(&["export", "encoder", "--onnx", "t.onnx", "--folder", "t"]);
    folder.done(&["inspect", "t"]);
    folder.write("lines.txt", "red ball\n\nblue auto\n");
    folder.done(&["embed", "encoder", "lines.txt", "-o", "l.csv"]);
    let lines = folder.text("l.csv");
    let ids: Vec<&str> = lines
        .lines()
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert_eq!(ids, ["id", "1", "3"]);
}

#[test]
fn texts_that_can_not_be_read_are_named() {
    let folder = folder();
    folder.write("twice.csv", "text,label\nred ball,a\nred ball,b\n");
    folder.write("none.csv", "text,label\nred ball,a\n,b\n");
    folder.write("empty.txt", "\n\n");
    folder.write("latin.txt", b"r\xe9d\n");
    let cases: &[(&[&str], i32, &str)] = &[
        (
            &["embed", "encoder", "photos", "-o", "p.csv"],
            2,
            "the model reads texts",
        ),
        (
            &["embed", "encoder", "none.csv", "-o", "p.csv"],
            1,
            "none.csv",
        ),
        (
            &["embed", "encoder", "empty.txt", "-o", "p.csv"],
            2,
            "expected a text on each line",
        ),
        (
            &["embed", "encoder", "latin.txt", "-o", "p.csv"],
            1,
            "latin.txt",
        ),
        (
            &["mine", "encoder", "lines.txt", "-o", "p.csv"],
            1,
            "lines.txt",
        ),
        (
            &["evaluate", "encoder", "labelled.csv", "--split", "cars"],
            1,
            "cars",
        ),
        (&["evaluate", "encoder"], 2, "name DATA"),
        (&["inspect", "twice.csv"], 1, "1 problem"),
        (
            &["init", "labelled.csv", "-o", "other.toml"],
            2,
            "labelled.csv: a table of texts",
        ),
    ];
    for (args, code, expected) in cases {
        let ended = folder.run(args);
        assert_eq!(ended.code, *code, "{args:?}: {ended:?}");
        assert!(
            ended.error.contains(expected),
            "{args:?}: {expected}: {ended:?}"
        );
        assert_eq!(ended.error.trim_end().lines().count(), 1, "{ended:?}");
    }
    assert!(!folder.path("p.csv").exists());
}
