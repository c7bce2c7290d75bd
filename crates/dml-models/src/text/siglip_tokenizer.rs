//! Texts as token ids for the text tower of `SigLIP`.
//!
//! ```text
//! text → in lower case, without ASCII punctuation, white space once → pieces of SentencePiece → at most 63 of them, </s>,
//!        </s> up to 64
//! ```
//!
//! As transformers' `SiglipTokenizer`, which `generate/siglip_tokenizer.py` compares with. Zhai et al. 2023, "Sigmoid Loss for
//! Language Image Pre-Training" (arXiv 2303.15343).

use std::path::Path;

use candle_core::{Device, Tensor};
use dml_core::check;
use serde_json::Value;

use super::modules_file as file;
use super::sentence_piece::{SPACE, SentencePiece};
use crate::error::{ModelError, Result};

/// Name of the token that ends texts and pads them.
const END: &str = "</s>";
/// Name of the token for what is unknown.
const UNKNOWN: &str = "<unk>";
/// Tokens of a text of the published towers.
const LENGTH: usize = 64;

/// `SigLIP`'s tokenizer ([steps](self)): texts → token ids `[batch, length]`, each of them padded or cut off to the same
/// length, 64 in the published models.
///
/// ```no_run
/// use candle_core::{DType, Device};
/// use dml_models::text::SiglipTokenizer;
/// use dml_models::{TextTower, TextTowerConfig};
/// use dml_nn::Layer;
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let config = TextTowerConfig::siglip_base_patch16_224();
/// let tower = TextTower::new(config, rng, DType::F32, &Device::Cpu)?;
/// let tokenizer = SiglipTokenizer::read("siglip-base-patch16-224")?;
/// let ids = tokenizer.encode_batch(&["a photo of a cat", "A dog!"], &Device::Cpu)?;
/// assert_eq!(ids.dims(), [2, 64]);
/// assert_eq!(tower.forward(&ids)?.dims(), [2, 768]);
/// # Ok::<(), dml_models::ModelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SiglipTokenizer {
    pieces: SentencePiece,
    end: u32,
    unknown: u32,
    /// Number of pieces that the name of the unknown token has as a text.
    prefix: usize,
    length: usize,
    lower_case: bool,
}

impl SiglipTokenizer {
    /// The tokenizer of a folder of transformers: `spiece.model`, else `tokenizer.json`, with `model_max_length` and
    /// `do_lower_case` of `tokenizer_config.json`.
    ///
    /// # Errors
    /// [`ModelError::Io`] if a file can't be read; [`ModelError::Format`] if there is neither, or one is damaged or of
    /// another tokenizer.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let own = folder.join("spiece.model");
        let (path, read) = if own.is_file() {
            let read = file::bytes(&own).map(|bytes| Self::from_model_file(&bytes));
            (own, read?)
        } else {
            let path = folder.join("tokenizer.json");
            let read = file::read(&path).map(|text| Self::from_json(&text));
            (path, read?)
        };
        let mut tokenizer = read.map_err(|problem| ModelError::format(&path, problem))?;
        let path = folder.join("tokenizer_config.json");
        tokenizer
            .configure(&file::optional_json(&path)?)
            .map_err(|problem| ModelError::format(&path, problem))?;
        Ok(tokenizer)
    }

    /// The tokenizer of the bytes of a `spiece.model`, with texts of 64 tokens.
    ///
    /// # Errors
    /// What is wrong, in a sentence, if this is no unigram model of `SentencePiece` or lacks `</s>` or `<unk>`.
    pub fn from_model_file(bytes: &[u8]) -> std::result::Result<Self, String> {
        Self::new(SentencePiece::from_model_file(bytes)?)
    }

    /// The tokenizer of the text of a `tokenizer.json`, with texts of 64 tokens.
    ///
    /// # Errors
    /// As [`from_model_file`](Self::from_model_file).
    pub fn from_json(json: &str) -> std::result::Result<Self, String> {
        Self::new(SentencePiece::from_json(json)?)
    }

    fn new(pieces: SentencePiece) -> std::result::Result<Self, String> {
        let id = |name: &str| {
            let id = pieces.id(name);
            id.ok_or_else(|| format!("expected a token {name}, found none"))
        };
        let (end, unknown) = (id(END)?, id(UNKNOWN)?);
        let prefix = pieces.encode(UNKNOWN)?.len();
        Ok(Self {
            pieces,
            end,
            unknown,
            prefix,
            length: LENGTH,
            lower_case: true,
        })
    }

    /// With texts of another number of tokens, 2 to 1,048,576.
    ///
    /// # Errors
    /// [`ModelError::Core`] for another number.
    pub fn with_length(mut self, length: usize) -> Result<Self> {
        check::count_from("length", length, 2, 1 << 20)?;
        self.length = length;
        Ok(self)
    }

    fn configure(&mut self, settings: &Value) -> std::result::Result<(), String> {
        if let Some(bound) = settings.get("model_max_length").and_then(Value::as_f64) {
            let fits = (2.0..=f64::from(1 << 20)).contains(&bound);
            if !fits {
                return Err(format!(
                    "model_max_length: expected 2 to 1048576, found {bound}"
                ));
            }
            self.length = bound as usize;
        }
        if let Some(own) = settings.get("do_lower_case").and_then(Value::as_bool) {
            self.lower_case = own;
        }
        for (key, expected) in [
            ("eos_token", END),
            ("pad_token", END),
            ("unk_token", UNKNOWN),
        ] {
            let name = settings.get(key);
            let name = name.map(|token| token.get("content").unwrap_or(token));
            if let Some(name) = name.and_then(Value::as_str)
                && name != expected
            {
                return Err(format!("{key}: expected {expected}, found {name}"));
            }
        }
        match settings.get("additional_special_tokens") {
            None | Some(Value::Null) => Ok(()),
            Some(Value::Array(own)) if own.is_empty() => Ok(()),
            Some(own) => Err(format!(
                "additional_special_tokens: expected none, found {own}"
            )),
        }
    }

    /// Number of tokens of every text.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// The token ids of texts `[batch, length]`.
    ///
    /// # Errors
    /// [`ModelError::Core`] if there is no text, or if the tokenizer fails.
    pub fn encode_batch(&self, texts: &[&str], device: &Device) -> Result<Tensor> {
        check::at_least_one("texts", texts.len())?;
        check::elements("ids", &[texts.len(), self.length], 4)?;
        let mut ids = Vec::with_capacity(texts.len() * self.length);
        for own in self.encode_each(texts)? {
            ids.extend_from_slice(&own);
            ids.extend(std::iter::repeat_n(self.end, self.length - own.len()));
        }
        Ok(Tensor::from_vec(ids, (texts.len(), self.length), device)?)
    }

    /// The token ids of each text with the end token, without padding.
    ///
    /// # Errors
    /// [`ModelError::Core`] if the tokenizer fails.
    pub fn encode_each(&self, texts: &[&str]) -> Result<Vec<Vec<u32>>> {
        let ids = texts.iter().map(|text| self.encode(text));
        let ids: std::result::Result<_, String> = ids.collect();
        ids.map_err(|problem| ModelError::Core(dml_core::Error::Dataset(problem.into())))
    }

    fn encode(&self, text: &str) -> std::result::Result<Vec<u32>, String> {
        let text = format!("{SPACE}{}", text.replace(SPACE, " "));
        let (mut ids, mut rest) = (Vec::new(), text.as_str());
        // The names of special tokens stand for these tokens, wherever they are.
        loop {
            let tokens = [(END, self.end), (UNKNOWN, self.unknown)];
            let found = tokens
                .into_iter()
                .filter_map(|(name, id)| Some((rest.find(name)?, name, id)));
            let Some((at, name, id)) = found.min_by_key(|(at, ..)| *at) else {
                ids.extend(self.plain(rest)?);
                break;
            };
            ids.extend(self.plain(&rest[..at])?);
            ids.push(id);
            rest = &rest[at + name.len()..];
        }
        ids.truncate(self.length - 1);
        if ids.last() != Some(&self.end) {
            ids.push(self.end);
        }
        Ok(ids)
    }

    /// The ids of a text without special tokens.
    ///
    /// A model puts a space in front of every text, which only the first part of a text has here. So it gets the name of
    /// the unknown token in front, and the pieces of the name are left out.
    fn plain(&self, text: &str) -> std::result::Result<Vec<u32>, String> {
        if is_blank(text) {
            return Ok(Vec::new());
        }
        let text = canonical(text, self.lower_case);
        let mut ids = self.pieces.encode(&format!("{UNKNOWN}{text}"))?;
        if ids.len() >= self.prefix {
            ids.drain(..self.prefix);
        }
        Ok(ids)
    }
}

/// Python's white space: Unicode's, and four separators of ASCII.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

/// The text in lower case, without ASCII punctuation, with single spaces and none at the ends.
fn canonical(text: &str, lower_case: bool) -> String {
    let lowered = if lower_case {
        text.to_lowercase()
    } else {
        text.to_owned()
    };
    let kept: String = lowered
        .chars()
        .filter(|c| !c.is_ascii_punctuation())
        .collect();
    let words = kept.split(is_space).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Golden {
        texts: Vec<String>,
        ids: Vec<Vec<u32>>,
        cased: Vec<Vec<u32>>,
    }

    fn file(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests")
            .join(name)
    }

    fn golden() -> Golden {
        let text = std::fs::read_to_string(file("golden/siglip_tokenizer.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn spiece() -> Vec<u8> {
        std::fs::read(file("files/siglip/spiece.model")).unwrap()
    }

    #[test]
    fn ids_are_those_of_transformers() {
        let (golden, spiece) = (golden(), spiece());
        let json = std::fs::read_to_string(file("files/siglip/tokenizer.json")).unwrap();
        let texts: Vec<&str> = golden.texts.iter().map(String::as_str).collect();
        let read = SiglipTokenizer::read(file("files/siglip")).unwrap();
        let from_bytes = SiglipTokenizer::from_model_file(&spiece).unwrap();
        let from_json = SiglipTokenizer::from_json(&json).unwrap();
        for (how, own) in [
            ("folder", &read),
            ("bytes", &from_bytes),
            ("json", &from_json),
        ] {
            let ids = own.encode_each(&texts).unwrap();
            for ((text, ids), expected) in texts.iter().zip(ids).zip(&golden.ids) {
                assert_eq!(&ids, expected, "{how}: {text:?}");
            }
        }
        let mut cased = read.clone();
        cased.lower_case = false;
        assert_eq!(cased.encode_each(&texts).unwrap(), golden.cased);

        let ids = read.encode_batch(&texts, &Device::Cpu).unwrap();
        for (row, expected) in ids.to_vec2::<u32>().unwrap().iter().zip(&golden.ids) {
            let (own, padding) = row.split_at(expected.len());
            assert_eq!(own, expected);
            assert!(row.len() == 64 && padding.iter().all(|id| *id == 1));
        }
    }

    #[test]
    fn texts_are_made_canonical() {
        assert_eq!(canonical(" A-B  (c)\t\u{1f}D_e! ", true), "ab c de");
        assert_eq!(canonical("ΑΣ", true), "ας");
        assert_eq!(canonical("?!", true), "");
    }

    #[test]
    fn lengths_and_settings() {
        let own = SiglipTokenizer::from_model_file(&spiece()).unwrap();
        let short = own.clone().with_length(3).unwrap();
        let ids = short.encode_each(&["a photo of a cat"]).unwrap();
        assert_eq!((ids[0].len(), ids[0][2]), (3, 1));
        for length in [0, 1, 1 << 30] {
            assert!(own.clone().with_length(length).is_err());
        }
        let configure = |text: &str| {
            let mut own = own.clone();
            let configured = own.configure(&serde_json::from_str(text).unwrap());
            configured.map(|()| (own.length, own.lower_case))
        };
        assert_eq!(configure("{}"), Ok((64, true)));
        let text =
            r#"{"model_max_length": 32, "do_lower_case": false, "pad_token": {"content": "</s>"}}"#;
        assert_eq!(configure(text), Ok((32, false)));
        for wrong in [
            r#"{"model_max_length": 1e30}"#,
            r#"{"pad_token": "<pad>"}"#,
            r#"{"unk_token": {"content": "?"}}"#,
            r#"{"additional_special_tokens": ["<x>"]}"#,
        ] {
            let key = wrong.split('"').nth(1).unwrap();
            assert!(configure(wrong).unwrap_err().starts_with(key));
        }
    }

    #[test]
    fn what_is_no_such_tokenizer_is_refused() {
        let json = |text: &str| SiglipTokenizer::from_json(text).unwrap_err();
        assert!(json("{}").contains("expected a tokenizer"));
        let bpe = r#"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}"#;
        assert!(json(bpe).contains("Unigram"));
        let words = r#"{"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a", -1.0]]}}"#;
        assert!(json(words).contains("expected a token </s>"));
        let infinite = words.replace("-1.0", "1e999");
        assert!(!json(&infinite).is_empty());
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            SiglipTokenizer::read(folder.path()),
            Err(ModelError::Io { .. })
        ));
        std::fs::write(folder.path().join("spiece.model"), b"hello").unwrap();
        let error = SiglipTokenizer::read(folder.path()).unwrap_err();
        assert!(matches!(error, ModelError::Format { .. }), "{error}");
    }

    #[test]
    fn changed_bytes_are_an_error_or_other_ids_and_never_a_panic() {
        use rand::{Rng, SeedableRng};
        let (bytes, texts) = (spiece(), golden().texts);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(2);
        let mut readable = 0;
        for _ in 0..2000 {
            let mut changed = bytes.clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..changed.len());
                changed[at] = rng.random();
            }
            if let Ok(own) = SiglipTokenizer::from_model_file(&changed) {
                readable += usize::from(own.encode_each(&texts).is_ok());
            }
        }
        assert!(readable > 100, "{readable}");
        for length in 0..bytes.len() {
            let _ = SiglipTokenizer::from_model_file(&bytes[..length]);
        }
    }
}
