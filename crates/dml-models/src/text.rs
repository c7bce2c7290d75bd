//! Encoders of text: token ids → an embedding for each text.
//!
//! ```text
//! states = transformer(ids)                      [batch, length, hidden]
//! embedding = modules(pooling(states, ids))      [batch, embedding_dim]
//! ```
//!
//! | `model_type` | configuration | published models |
//! |---|---|---|
//! | `bert` | [`BertConfig`] | BERT, `MiniLM`, BGE, E5, GTE |
//! | `roberta`, `xlm-roberta`, `camembert` | [`RobertaConfig`] | `RoBERTa`, XLM-R, multilingual E5 |
//! | `distilbert` | [`DistilBertConfig`] | `DistilBERT` |
//! | `mpnet` | [`MpnetConfig`] | `all-mpnet-base-v2` |
//! | `modernbert` | [`ModernBertConfig`] | `ModernBERT`, `gte-modernbert` |
//!
//! Parameters have the names of Hugging Face's transformers. [`TextEncoder::read`] takes a folder as sentence-transformers
//! lays it out, and [`TextEncoder::write`] writes one that sentence-transformers reads.

mod config;
pub mod dense;
mod encoder;
mod folder;
mod layer;
mod masked_layer;
mod modern_bert;
mod modules_file;
mod plan;
pub mod pooling;
mod post_norm;
pub(crate) mod tokens;
mod transformer;

#[cfg(feature = "text")]
mod sentence_piece;
#[cfg(feature = "text")]
pub mod siglip_tokenizer;
#[cfg(feature = "text")]
mod tokenizer;

pub use config::{
    BertConfig, DistilBertConfig, HiddenAct, MpnetConfig, PositionEmbeddingType, RobertaConfig,
    TextConfig,
};
pub use dense::{Dense, DenseActivation};
pub use encoder::{TextEncoder, TextModule};
pub use modern_bert::{ModernBertConfig, ModernBertLayerType, RopeParameters};
pub use pooling::Pooling;
#[cfg(feature = "text")]
pub use siglip_tokenizer::SiglipTokenizer;
#[cfg(feature = "text")]
pub use tokenizer::TextTokenizer;
pub use transformer::TextTransformer;
