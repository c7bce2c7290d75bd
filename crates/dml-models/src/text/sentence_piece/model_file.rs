//! `spiece.model`: a message of Protocol Buffers (`sentencepiece_model.proto`).

use prost::Message;

use super::Vocabulary;

/// Kinds of pieces.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
/// The kind of model that chooses the likeliest pieces.
const UNIGRAM: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    trainer_spec: Option<TrainerSpec>,
    #[prost(message, optional, tag = "3")]
    normalizer_spec: Option<NormalizerSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct Piece {
    #[prost(string, optional, tag = "1")]
    piece: Option<String>,
    #[prost(float, optional, tag = "2")]
    score: Option<f32>,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct TrainerSpec {
    #[prost(int32, optional, tag = "3")]
    model_type: Option<i32>,
    #[prost(bool, optional, tag = "24")]
    treat_whitespace_as_suffix: Option<bool>,
    #[prost(bool, optional, tag = "35")]
    byte_fallback: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct NormalizerSpec {
    #[prost(bytes = "vec", optional, tag = "2")]
    precompiled_charsmap: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3")]
    add_dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    remove_extra_whitespaces: Option<bool>,
    #[prost(bool, optional, tag = "5")]
    escape_whitespaces: Option<bool>,
}

/// What the file says; what was expected and what was found otherwise.
pub(super) fn vocabulary(bytes: &[u8]) -> Result<Vocabulary, String> {
    let file = ModelProto::decode(bytes)
        .map_err(|error| format!("expected a model of SentencePiece, found {error}"))?;
    let trainer = file.trainer_spec.unwrap_or_default();
    let normalizer = file.normalizer_spec.unwrap_or_default();
    let kind = trainer.model_type.unwrap_or(UNIGRAM);
    if kind != UNIGRAM {
        return Err(format!(
            "model_type: expected {UNIGRAM} (unigram), found {kind}"
        ));
    }
    for (name, is_set, expected) in [
        (
            "treat_whitespace_as_suffix",
            trainer.treat_whitespace_as_suffix.unwrap_or(false),
            false,
        ),
        (
            "add_dummy_prefix",
            normalizer.add_dummy_prefix.unwrap_or(true),
            true,
        ),
        (
            "remove_extra_whitespaces",
            normalizer.remove_extra_whitespaces.unwrap_or(true),
            true,
        ),
        (
            "escape_whitespaces",
            normalizer.escape_whitespaces.unwrap_or(true),
            true,
        ),
    ] {
        if is_set != expected {
            return Err(format!("{name}: expected {expected}, found {is_set}"));
        }
    }
    let count = file.pieces.len();
    let (mut pieces, mut hidden) = (Vec::with_capacity(count), Vec::new());
    let mut unknown = None;
    for (number, own) in file.pieces.into_iter().enumerate() {
        let piece = own.piece.unwrap_or_default();
        match own.kind.unwrap_or(NORMAL) {
            UNKNOWN => {
                unknown = Some(number);
                hidden.push(number);
            }
            CONTROL | UNUSED => hidden.push(number),
            USER_DEFINED => {
                return Err(format!(
                    "{piece}: expected a piece that was learnt, found one that a user defined"
                ));
            }
            _ => {}
        }
        pieces.push((piece, f64::from(own.score.unwrap_or(0.0))));
    }
    Ok(Vocabulary {
        pieces,
        hidden,
        unknown: unknown.ok_or("expected a piece for what is unknown, found none")?,
        byte_fallback: trainer.byte_fallback.unwrap_or(false),
        charsmap: normalizer.precompiled_charsmap.unwrap_or_default(),
    })
}
