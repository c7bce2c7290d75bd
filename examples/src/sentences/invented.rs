//! A language with two words for every thing, and a small random encoder that does not know it yet.
//!
//! The two sentences of a pair say the same things, in another order and with the other word for each: not one word is in
//! both, and nothing but learning tells that they belong together.

use std::collections::BTreeSet;

use candle_transformers::models::bert::{Config, HiddenAct};
use rand::seq::{SliceRandom, index::sample};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokenizers::Tokenizer;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::pre_tokenizers::whitespace::Whitespace;

use super::{Encoder, Weights};

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

/// An encoder of two small layers, with a tokenizer of the words of these sentences.
pub(super) fn encoder(
    pairs: &[(String, String)],
    seed: u64,
) -> anyhow::Result<(Encoder, Tokenizer)> {
    let words: BTreeSet<&str> = pairs
        .iter()
        .flat_map(|(first, second)| [first, second])
        .flat_map(|sentence| sentence.split_whitespace())
        .collect();
    let marks = ["[PAD]", "[UNK]"].into_iter();
    let vocabulary = marks.chain(words).map(str::to_owned).zip(0u32..);
    let words = WordLevel::builder()
        .vocab(vocabulary.collect())
        .unk_token("[UNK]".to_owned())
        .build()
        .map_err(anyhow::Error::from_boxed)?;
    let vocab_size = tokenizers::Model::get_vocab_size(&words);
    let mut tokenizer = Tokenizer::new(words);
    tokenizer.with_pre_tokenizer(Some(Whitespace));
    let config = Config {
        vocab_size,
        hidden_size: 64,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        intermediate_size: 128,
        hidden_act: HiddenAct::Gelu,
        max_position_embeddings: 64,
        ..Config::default()
    };
    let weights = Weights::random(&config, seed)?;
    Ok((Encoder::new(config, weights)?, tokenizer))
}
