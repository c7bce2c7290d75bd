//! Texts as token ids, by the tokenizer of a published model.

use std::path::Path;

use candle_core::{Device, Tensor};
use dml_core::check;
use serde_json::Value;
use tokenizers::{PostProcessor, Tokenizer, TruncationParams};

use super::TextEncoder;
use super::folder::modules;
use super::modules_file::{self as file, TransformerFile};
use crate::error::{ModelError, Result};

/// A tokenizer: texts → token ids `[batch, length]`, padded to the longest text and cut off after `max_seq_length` tokens.
///
/// ```
/// use candle_core::Device;
/// use dml_models::text::TextTokenizer;
///
/// let json = r#"{"version": "1.0", "added_tokens": [], "normalizer": null, "post_processor": null, "decoder": null,
///     "pre_tokenizer": {"type": "Whitespace"}, "truncation": null, "padding": null,
///     "model": {"type": "WordLevel", "unk_token": "?", "vocab": {"[PAD]": 0, "?": 1, "red": 2, "ball": 3}}}"#;
/// let tokenizer = TextTokenizer::from_json(json, 0, 2)?;
/// let ids = tokenizer.encode_batch(&["red ball ball", "blue"], &Device::Cpu)?;
/// assert_eq!(ids.to_vec2::<u32>()?, [[2, 3], [1, 0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    pad: u32,
    lower_case: bool,
}

impl TextTokenizer {
    /// The tokenizer of the text of a `tokenizer.json`, with the token that pads and the number of tokens after which texts
    /// are cut off, its special tokens included.
    ///
    /// # Errors
    /// What is wrong, in a sentence, if the text is no tokenizer or `max_seq_length` has no room beside the special tokens.
    pub fn from_json(
        json: &str,
        pad_token_id: u32,
        max_seq_length: usize,
    ) -> std::result::Result<Self, String> {
        let mut tokenizer: Tokenizer = json.parse().map_err(|error| format!("{error}"))?;
        let special = tokenizer.get_post_processor();
        let special = special.map_or(0, |processor| processor.added_tokens(false));
        if max_seq_length <= special {
            return Err(format!(
                "max_seq_length: expected more than the {special} special tokens, got {max_seq_length}"
            ));
        }
        let truncation = TruncationParams {
            max_length: max_seq_length,
            ..TruncationParams::default()
        };
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(Some(truncation))
            .map_err(|error| format!("max_seq_length {max_seq_length}: {error}"))?;
        Ok(Self {
            tokenizer,
            pad: pad_token_id,
            lower_case: false,
        })
    }

    /// The tokenizer of the folder that an encoder was read from, cut off after `max_seq_length` tokens at most.
    ///
    /// # Errors
    /// [`ModelError::Io`] if a file can't be read; [`ModelError::Format`] if it is damaged, if the token that pads is not
    /// the encoder's, or if texts are encoded with a prompt by default.
    pub fn read(
        folder: impl AsRef<Path>,
        encoder: &TextEncoder,
        max_seq_length: usize,
    ) -> Result<Self> {
        let folder = folder.as_ref();
        let prompts = folder.join("config_sentence_transformers.json");
        let settings: Value = file::optional_json(&prompts)?;
        if let Some(Value::String(name)) = settings.get("default_prompt_name") {
            let problem = format!("default_prompt_name: expected none, found {name}");
            return Err(ModelError::format(&prompts, problem));
        }
        let (_, modules) = modules(folder)?;
        let own = folder.join(&modules[0].path);
        let path = own.join("tokenizer.json");
        let pad = encoder.network().pad_token_id();
        let length = max_seq_length.min(encoder.max_seq_length());
        let mut tokenizer = Self::from_json(&file::read(&path)?, pad, length)
            .map_err(|problem| ModelError::format(&path, problem))?;
        let settings: TransformerFile =
            file::optional_json(&own.join("sentence_bert_config.json"))?;
        tokenizer.lower_case = settings.do_lower_case;
        let path = own.join("tokenizer_config.json");
        let settings: Value = file::optional_json(&path)?;
        let named = settings.get("pad_token");
        let named = named.map(|token| token.get("content").unwrap_or(token));
        if let Some(name) = named.and_then(Value::as_str) {
            let id = tokenizer.tokenizer.token_to_id(name);
            if id != Some(pad) {
                let problem = format!("pad_token: expected token {pad}, found {name} ({id:?})");
                return Err(ModelError::format(&path, problem));
            }
        }
        Ok(tokenizer)
    }

    /// The token ids of texts `[batch, length]`, padded to the longest of them.
    ///
    /// # Errors
    /// [`ModelError::Core`] if there is no text, or if the tokenizer fails or gives a text no token.
    pub fn encode_batch(&self, texts: &[&str], device: &Device) -> Result<Tensor> {
        check::at_least_one("texts", texts.len())?;
        let all = self.encode_each(texts)?;
        let length = all.iter().map(Vec::len).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(all.len() * length);
        for own in &all {
            ids.extend_from_slice(own);
            ids.extend(std::iter::repeat_n(self.pad, length - own.len()));
        }
        Ok(Tensor::from_vec(ids, (texts.len(), length), device)?)
    }

    /// The token ids of each text, without padding.
    ///
    /// # Errors
    /// [`ModelError::Core`] if the tokenizer fails or gives a text no token.
    pub fn encode_each(&self, texts: &[&str]) -> Result<Vec<Vec<u32>>> {
        let failed = |problem: String| ModelError::Core(dml_core::Error::Dataset(problem.into()));
        let lowered = texts.iter().map(|text| {
            if self.lower_case {
                text.to_lowercase()
            } else {
                (*text).to_owned()
            }
        });
        let encodings = self
            .tokenizer
            .encode_batch(lowered.collect(), true)
            .map_err(|error| failed(format!("the tokenizer failed: {error}")))?;
        let mut all = Vec::with_capacity(encodings.len());
        for (encoding, text) in encodings.iter().zip(texts) {
            let ids = encoding.get_ids();
            if ids.iter().all(|id| *id == self.pad) {
                return Err(failed(format!("{text:?}: the text has no token")));
            }
            all.push(ids.to_vec());
        }
        Ok(all)
    }
}
