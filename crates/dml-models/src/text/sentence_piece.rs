//! Models of `SentencePiece` that choose the likeliest pieces (unigram language models): texts as numbers of pieces.
//!
//! ```text
//! text → characters replaced by the longest entries of a table (NFKC, say) → spaces once, none at the ends, written ▁
//!      → the pieces p₁ … p_n of the text with the largest Σ score(pᵢ)
//! ```
//!
//! Kudo 2018, "Subword Regularization" (arXiv 1804.10959). The pieces are found by the crate `tokenizers`; its own
//! normalisation replaces whole graphemes and not the longest entries, and is not used.

mod charsmap;
mod model_file;

use std::collections::HashMap;

use serde_json::Value;
use tokenizers::Model;
use tokenizers::models::unigram::Unigram;

use charsmap::Charsmap;

/// The character that stands for a space in pieces.
pub(super) const SPACE: char = '▁';
/// Most pieces of a vocabulary.
const MOST_PIECES: usize = 1 << 22;

/// A vocabulary with scores, and how texts are normalised.
#[derive(Clone, Debug)]
pub(super) struct SentencePiece {
    model: Unigram,
    /// Numbers of the pieces that stand for no text.
    hidden: HashMap<String, u32>,
    charsmap: Option<Charsmap>,
}

/// What a file says of the vocabulary.
struct Vocabulary {
    pieces: Vec<(String, f64)>,
    /// Pieces that no text has, whatever it looks like: those for control, for what is unknown, and unused ones.
    hidden: Vec<usize>,
    unknown: usize,
    byte_fallback: bool,
    charsmap: Vec<u8>,
}

impl SentencePiece {
    /// The model of the bytes of a `spiece.model`.
    ///
    /// # Errors
    /// What was expected and what was found, in a sentence.
    pub(super) fn from_model_file(bytes: &[u8]) -> Result<Self, String> {
        Self::new(model_file::vocabulary(bytes)?)
    }

    /// The same of a `tokenizer.json` that was made of such a model: its vocabulary, and the table of its `Precompiled`
    /// normaliser. White space is treated as in the model's file.
    ///
    /// # Errors
    /// What was expected and what was found, in a sentence.
    pub(super) fn from_json(json: &str) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct File {
            model: OwnModel,
            #[serde(default)]
            normalizer: Value,
        }
        #[derive(serde::Deserialize)]
        struct OwnModel {
            #[serde(rename = "type", default)]
            kind: String,
            #[serde(default)]
            vocab: Value,
            unk_id: Option<usize>,
            #[serde(default)]
            byte_fallback: bool,
        }
        let file: File = serde_json::from_str(json)
            .map_err(|error| format!("expected a tokenizer, found {error}"))?;
        // Older files leave the type out: the list of pieces with scores tells it.
        if !matches!(file.model.kind.as_str(), "Unigram" | "") || !file.model.vocab.is_array() {
            let found = file.model.kind;
            return Err(format!("expected a model of type Unigram, found {found:?}"));
        }
        let pieces: Vec<(String, f64)> = serde_json::from_value(file.model.vocab)
            .map_err(|error| format!("expected pieces with scores, found {error}"))?;
        // The file does not say which pieces are for control. What was learnt has a logarithm of a probability.
        let is_hidden = |(piece, score): &(String, f64)| {
            *score == 0.0 && piece.starts_with('<') && piece.ends_with('>')
        };
        let hidden = pieces.iter().enumerate().filter(|(_, own)| is_hidden(own));
        let hidden = hidden.map(|(number, _)| number).collect();
        let unknown = file.model.unk_id.ok_or("expected unk_id, found none")?;
        let charsmap = match precompiled(&file.normalizer) {
            None => Vec::new(),
            Some(text) => {
                use base64::Engine as _;
                base64::engine::general_purpose::STANDARD
                    .decode(text)
                    .map_err(|error| {
                        format!("precompiled_charsmap: expected base64, found {error}")
                    })?
            }
        };
        Self::new(Vocabulary {
            pieces,
            hidden,
            unknown,
            byte_fallback: file.model.byte_fallback,
            charsmap,
        })
    }

    fn new(mut vocabulary: Vocabulary) -> Result<Self, String> {
        let count = vocabulary.pieces.len();
        if !(1..=MOST_PIECES).contains(&count) {
            return Err(format!("expected 1 to {MOST_PIECES} pieces, found {count}"));
        }
        if let Some((piece, score)) = vocabulary
            .pieces
            .iter()
            .find(|(_, score)| !score.is_finite())
        {
            return Err(format!("{piece}: expected a finite score, found {score}"));
        }
        if let Some(empty) = vocabulary
            .pieces
            .iter()
            .position(|(piece, _)| piece.is_empty())
        {
            return Err(format!("piece {empty}: expected a text, found none"));
        }
        let mut hidden = HashMap::new();
        for number in vocabulary.hidden {
            let unlike_any_text = format!("\0{number}");
            let piece = std::mem::replace(&mut vocabulary.pieces[number].0, unlike_any_text);
            hidden.insert(piece, number as u32);
        }
        let charsmap = match vocabulary.charsmap.as_slice() {
            [] => None,
            bytes => Some(Charsmap::new(bytes)?),
        };
        let model = Unigram::from(
            vocabulary.pieces,
            Some(vocabulary.unknown),
            vocabulary.byte_fallback,
        )
        .map_err(|error| format!("expected a unigram model, found one with {error}"))?;
        Ok(Self {
            model,
            hidden,
            charsmap,
        })
    }

    /// Number of a piece.
    pub(super) fn id(&self, piece: &str) -> Option<u32> {
        let hidden = self.hidden.get(piece).copied();
        hidden.or_else(|| self.model.token_to_id(piece))
    }

    /// The numbers of a text's pieces.
    ///
    /// # Errors
    /// What the model can't do, in a sentence.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        let tokens = self.model.tokenize(&self.normalized(text));
        let tokens = tokens.map_err(|error| format!("the tokenizer failed: {error}"))?;
        Ok(tokens.into_iter().map(|token| token.id).collect())
    }

    /// The text as the model sees it: with ▁ in front and in the place of spaces, of which there are never two in a row,
    /// and none at the end.
    fn normalized(&self, text: &str) -> String {
        let mut normalized = String::with_capacity(text.len() + SPACE.len_utf8());
        normalized.push(SPACE);
        let (mut rest, mut follows_space) = (text, true);
        while !rest.is_empty() {
            let (replacement, length) =
                match self.charsmap.as_ref().and_then(|map| map.longest(rest)) {
                    Some(found) => found,
                    None => {
                        let length = rest.chars().next().map_or(1, char::len_utf8);
                        (&rest[..length], length)
                    }
                };
            rest = &rest[length..];
            let own = if follows_space {
                replacement.trim_start_matches(' ')
            } else {
                replacement
            };
            if !own.is_empty() {
                normalized.extend(own.chars().map(|c| if c == ' ' { SPACE } else { c }));
                follows_space = own.ends_with(' ');
            }
        }
        normalized.truncate(normalized.trim_end_matches(SPACE).len());
        normalized
    }
}

/// The table of the first `Precompiled` normaliser in a tree of normalisers.
fn precompiled(normalizer: &Value) -> Option<&str> {
    if let Some(table) = normalizer.get("precompiled_charsmap") {
        return table.as_str();
    }
    let parts = normalizer.get("normalizers")?.as_array()?;
    parts.iter().find_map(precompiled)
}

#[cfg(test)]
mod tests;
