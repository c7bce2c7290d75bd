//! Recipes of texts, on an invented language.

use std::fmt::Write as _;

use dml::candle_core::{DType, Device};
use dml::core::rand::seq::SliceRandom;
use dml::core::rand::{Rng, SeedableRng};
use dml::core::rand_chacha::ChaCha8Rng;
use dml::models::save;
use dml::models::text::TextConfig;
use serde_json::{Value, json};

use super::{metric, resumes, root, shares, train};
use crate::program::Folder;

/// A language with two words for every thing: pairs of sentences that say the same in either, and one more sentence that
/// differs from the second in one thing.
fn invented(rows: usize) -> (String, Vec<String>) {
    const THINGS: usize = 12;
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let mut table = "anchor,positive,negative,split\n".to_owned();
    for row in 0..rows {
        let mut things: Vec<usize> = (0..THINGS).collect();
        things.shuffle(rng);
        let [own, other] = [&things[..3], &[things[0], things[1], things[3]]];
        let said = |things: &[usize], word: char| {
            let words = things.iter().map(|thing| format!("{word}{thing}"));
            words.collect::<Vec<_>>().join(" ")
        };
        let mut turned = own.to_vec();
        turned.rotate_left(rng.random_range(0..3));
        let split = if row < 40 { "test" } else { "train" };
        let (a, b, c) = (said(own, 'a'), said(&turned, 'b'), said(other, 'b'));
        writeln!(table, "{a},{b},{c},{split}").unwrap();
    }
    let words = (0..THINGS).flat_map(|thing| [format!("a{thing}"), format!("b{thing}")]);
    (table, words.collect())
}

/// The folder of a small text encoder that knows these words, and nothing of what they say.
fn encoder(folder: &Folder, words: &[String]) {
    let marks = ["[PAD]".to_owned(), "[UNK]".to_owned()];
    let all = marks.iter().chain(words).zip(0..);
    let vocabulary: serde_json::Map<String, Value> = all
        .map(|(word, id): (&String, u32)| (word.clone(), id.into()))
        .collect();
    let config = json!({
        "model_type": "bert",
        "vocab_size": vocabulary.len(),
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 16,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    })
    .to_string();
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": null,
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    });
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let network = TextConfig::from_json(&config).unwrap();
    let network = network.build(rng, DType::F32, &Device::Cpu).unwrap();
    folder.write("encoder/config.json", &config);
    folder.write("encoder/tokenizer.json", tokenizer.to_string());
    save(&network, folder.path("encoder/model.safetensors")).unwrap();
}

/// Trains a recipe of sentences on the invented language: the own sentence among 40 is found by chance once.
fn sentences_learn(recipe: &str) {
    let folder = Folder::new();
    let (table, words) = invented(680);
    folder.write("pairs.csv", table);
    encoder(&folder, &words);
    let fields = [
        r#"data.train="pairs.csv""#,
        r#"backbone={ folder = "encoder" }"#,
        "optimizer.lr=0.005",
        "train.epochs=8",
    ];
    let out = train(&folder, recipe, &fields);
    assert!(out.contains("40 queries among 40 texts"), "{out}");
    let [after, before] = metric(&folder, "precision_at_1");
    assert!(before < 0.3 && after > 0.5, "{before} {after}");
    assert!(folder.path("run/model/tokenizer.json").is_file());
    resumes(&folder);
}

#[test]
fn sentences() {
    sentences_learn("sentences");
}

#[test]
fn sentences_hard_negatives() {
    sentences_learn("sentences_hard_negatives");
    let folder = Folder::new();
    folder.write(
        "pairs.csv",
        "anchor,positive,negative,split\na,b,c,train\na,b,c|d,train\n",
    );
    encoder(&folder, &["a".to_owned()]);
    let path = root().join("sentences_hard_negatives.toml");
    let path = path.display().to_string();
    let ended = folder.run(&[
        "train",
        &path,
        "--set",
        r#"data.train="pairs.csv""#,
        "--set",
        r#"backbone={ folder = "encoder" }"#,
    ]);
    assert_eq!(ended.code, 1, "{ended:?}");
    let expected =
        "as many hard negatives in each pair, at least 1, got 1 in pair 1 and 2 in pair 2";
    assert!(ended.error.contains(expected), "{ended:?}");
}

#[test]
fn texts_with_classes_are_learnt_from() {
    let folder = Folder::new();
    let mut table = "text,label\n".to_owned();
    let words: Vec<String> = (0..8).map(|word| format!("w{word}")).collect();
    for row in 0..32 {
        let class = row % 4;
        let other = (row * 5) % 8;
        writeln!(table, "w{} w{other},c{class}", 2 * class).unwrap();
    }
    folder.write("texts.csv", table);
    encoder(&folder, &words);
    let data = r#"data={ kind = "texts", train = "texts.csv", test_classes = ["c2", "c3"] }"#;
    let fields = ["--set", data, "--set", r#"backbone={ folder = "encoder" }"#];
    let out = folder.done(&[&["train", "--set", "head={}"], &fields[..]].concat());
    assert!(out.contains("16 texts of 2 classes to learn from"), "{out}");
    shares(&folder, &["precision_at_1"]);
}
