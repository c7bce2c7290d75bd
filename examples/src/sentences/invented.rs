//! A language with two words for every thing, and a small random encoder that does not know it yet.
//!
//! The two sentences of a pair say the same things, in another order and with the other word for each: not one word is in
//! both, and nothing but learning tells that they belong together.

use std::collections::{BTreeMap, BTreeSet};

use dml::candle_core::DType;
use dml_models::text::{BertConfig, Pooling, TextConfig, TextEncoder, TextTokenizer};
use rand::seq::{SliceRandom, index::sample};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::DEVICE;

/// Pairs of sentences.
const PAIRS: usize = 2_000;
/// Things, each with two words.
const THINGS: usize = 40;
/// Things that a sentence speaks of.
const SPOKEN_OF: usize = 4;
/// Words without meaning.
const FILLERS: [&str; 3] = ["the", "and", "of"];

/// Pairs of sentences, alike for a seed.
pub(super) fn pairs(seed: u64) -> Vec<(String, String)> {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let mut sentence = |things: &[usize], kind: char| {
        let mut things = things.to_vec();
        things.shuffle(rng);
        let words = things.iter().map(|thing| {
            let filler = FILLERS[rng.random_range(0..FILLERS.len())];
            format!("{filler} {kind}{thing}")
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let draws = &mut ChaCha8Rng::seed_from_u64(seed.wrapping_add(1));
    (0..PAIRS)
        .map(|_| {
            let things = sample(draws, THINGS, SPOKEN_OF).into_vec();
            (sentence(&things, 'a'), sentence(&things, 'b'))
        })
        .collect()
}

/// An encoder of two small layers, with a tokenizer of the words of these sentences that cuts off after `tokens` words.
pub(super) fn encoder(
    pairs: &[(String, String)],
    tokens: usize,
    seed: u64,
) -> anyhow::Result<(TextEncoder, TextTokenizer)> {
    let words: BTreeSet<&str> = pairs
        .iter()
        .flat_map(|(first, second)| [first, second])
        .flat_map(|sentence| sentence.split_whitespace())
        .collect();
    let marks = ["[PAD]", "[UNK]"].into_iter();
    let vocabulary: BTreeMap<&str, u32> = marks.chain(words).zip(0..).collect();
    let mut config = BertConfig::default();
    config.vocab_size = vocabulary.len();
    config.hidden_size = 64;
    config.num_hidden_layers = 2;
    config.num_attention_heads = 4;
    config.intermediate_size = 128;
    config.max_position_embeddings = 64;
    // The language is small: the encoder learns all of it.
    config.hidden_dropout_prob = 0.0;
    config.attention_probs_dropout_prob = 0.0;
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
    let most = tokens.min(config.max_position_embeddings);
    let tokenizer = TextTokenizer::from_json(&tokenizer.to_string(), config.pad_token_id, most);
    let tokenizer = tokenizer.map_err(anyhow::Error::msg)?;
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let network = TextConfig::Bert(config).build(rng, DType::F32, &DEVICE)?;
    Ok((TextEncoder::new(network, Pooling::Mean), tokenizer))
}
