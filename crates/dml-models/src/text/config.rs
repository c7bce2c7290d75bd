//! Configurations of the families, as `config.json` has them.

use std::path::Path;

use candle_core::{DType, Device};
use rand::RngCore;

use super::modern_bert::ModernBertConfig;
use super::transformer::TextTransformer;
use crate::error::{ModelError, Result};

/// Activation of the feed-forward layers, by transformers' names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HiddenAct {
    /// GELU by the error function.
    #[default]
    Gelu,
    /// GELU by the hyperbolic tangent; `gelu_pytorch_tanh` and `gelu_fast` are the same function.
    #[serde(alias = "gelu_pytorch_tanh", alias = "gelu_fast")]
    GeluNew,
    /// GELU by the logistic function.
    QuickGelu,
    /// Rectified linear unit.
    Relu,
    /// Sigmoid linear unit.
    #[serde(alias = "swish")]
    Silu,
}

/// How positions enter attention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PositionEmbeddingType {
    /// A learned vector for each position, added to that of the token.
    #[default]
    Absolute,
}

/// Declares a configuration of fields with defaults, which ignores unknown fields.
macro_rules! config {
    ($(#[$doc:meta])* $Name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        #[non_exhaustive]
        pub struct $Name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Default for $Name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

config! {
    /// Configuration of BERT, with the names and defaults of transformers.
    ///
    /// Devlin et al. 2018 (arXiv 1810.04805).
    ///
    /// ```
    /// use dml_models::text::BertConfig;
    ///
    /// let mut mini_lm = BertConfig::default();
    /// (mini_lm.hidden_size, mini_lm.num_hidden_layers, mini_lm.intermediate_size) = (384, 6, 1536);
    /// assert_eq!(mini_lm.num_attention_heads, 12);
    /// ```
    BertConfig {
        /// Number of tokens, at least 1. Default 30,522.
        vocab_size: usize = 30_522,
        /// Length of a token's state, a multiple of the number of heads. Default 768.
        hidden_size: usize = 768,
        /// Number of layers, 1 to 1,000. Default 12.
        num_hidden_layers: usize = 12,
        /// Number of attention heads. Default 12.
        num_attention_heads: usize = 12,
        /// Width of the feed-forward layers. Default 3,072.
        intermediate_size: usize = 3_072,
        /// Activation of the feed-forward layers. Default GELU.
        hidden_act: HiddenAct = HiddenAct::Gelu,
        /// Probability of dropout of embeddings and outputs in training, in [0, 1). Default 0.1.
        hidden_dropout_prob: f64 = 0.1,
        /// Probability of dropout of attention in training, in [0, 1). Default 0.1.
        attention_probs_dropout_prob: f64 = 0.1,
        /// Most tokens of a text. Default 512.
        max_position_embeddings: usize = 512,
        /// Number of kinds of tokens; all tokens are of the first. Default 2.
        type_vocab_size: usize = 2,
        /// Standard deviation of initial weights. Default 0.02.
        initializer_range: f64 = 0.02,
        /// ε of layer normalisation. Default 10⁻¹².
        layer_norm_eps: f64 = 1e-12,
        /// Token that pads texts. Default 0.
        pad_token_id: u32 = 0,
        /// How positions enter. Default absolute.
        position_embedding_type: PositionEmbeddingType = PositionEmbeddingType::Absolute,
        /// Whether attention is causal; must be false. Default false.
        is_decoder: bool = false,
        /// Whether there is attention to another sequence; must be false. Default false.
        add_cross_attention: bool = false,
    }
}

config! {
    /// Configuration of `RoBERTa`, XLM-R and `CamemBERT`, with the names and defaults of transformers: [`BertConfig`] with
    /// positions that start behind `pad_token_id`.
    ///
    /// Liu et al. 2019 (arXiv 1907.11692), Conneau et al. 2019 (arXiv 1911.02116).
    RobertaConfig {
        /// Number of tokens, at least 1. Default 50,265.
        vocab_size: usize = 50_265,
        /// Length of a token's state, a multiple of the number of heads. Default 768.
        hidden_size: usize = 768,
        /// Number of layers, 1 to 1,000. Default 12.
        num_hidden_layers: usize = 12,
        /// Number of attention heads. Default 12.
        num_attention_heads: usize = 12,
        /// Width of the feed-forward layers. Default 3,072.
        intermediate_size: usize = 3_072,
        /// Activation of the feed-forward layers. Default GELU.
        hidden_act: HiddenAct = HiddenAct::Gelu,
        /// Probability of dropout of embeddings and outputs in training, in [0, 1). Default 0.1.
        hidden_dropout_prob: f64 = 0.1,
        /// Probability of dropout of attention in training, in [0, 1). Default 0.1.
        attention_probs_dropout_prob: f64 = 0.1,
        /// Most tokens of a text, plus `pad_token_id` and 1. Default 512.
        max_position_embeddings: usize = 512,
        /// Number of kinds of tokens; all tokens are of the first. Default 2.
        type_vocab_size: usize = 2,
        /// Standard deviation of initial weights. Default 0.02.
        initializer_range: f64 = 0.02,
        /// ε of layer normalisation. Default 10⁻¹².
        layer_norm_eps: f64 = 1e-12,
        /// Token that pads texts. Default 1.
        pad_token_id: u32 = 1,
        /// How positions enter. Default absolute.
        position_embedding_type: PositionEmbeddingType = PositionEmbeddingType::Absolute,
        /// Whether attention is causal; must be false. Default false.
        is_decoder: bool = false,
        /// Whether there is attention to another sequence; must be false. Default false.
        add_cross_attention: bool = false,
    }
}

config! {
    /// Configuration of `DistilBERT`, with the names and defaults of transformers.
    ///
    /// Sanh et al. 2019 (arXiv 1910.01108). ε of layer normalisation is 10⁻¹².
    DistilBertConfig {
        /// Number of tokens, at least 1. Default 30,522.
        vocab_size: usize = 30_522,
        /// Length of a token's state, a multiple of the number of heads. Default 768.
        dim: usize = 768,
        /// Number of layers, 1 to 1,000. Default 6.
        n_layers: usize = 6,
        /// Number of attention heads. Default 12.
        n_heads: usize = 12,
        /// Width of the feed-forward layers. Default 3,072.
        hidden_dim: usize = 3_072,
        /// Activation of the feed-forward layers. Default GELU.
        activation: HiddenAct = HiddenAct::Gelu,
        /// Probability of dropout of embeddings and feed-forward outputs in training, in [0, 1). Default 0.1.
        dropout: f64 = 0.1,
        /// Probability of dropout of attention in training, in [0, 1). Default 0.1.
        attention_dropout: f64 = 0.1,
        /// Most tokens of a text. Default 512.
        max_position_embeddings: usize = 512,
        /// Standard deviation of initial weights. Default 0.02.
        initializer_range: f64 = 0.02,
        /// Token that pads texts. Default 0.
        pad_token_id: u32 = 0,
    }
}

config! {
    /// Configuration of `MPNet`, with the names and defaults of transformers: [`RobertaConfig`] with a learned bias of
    /// attention for each distance between two tokens.
    ///
    /// Song et al. 2020 (arXiv 2004.09297).
    MpnetConfig {
        /// Number of tokens, at least 2. Default 30,527.
        vocab_size: usize = 30_527,
        /// Length of a token's state, a multiple of the number of heads. Default 768.
        hidden_size: usize = 768,
        /// Number of layers, 1 to 1,000. Default 12.
        num_hidden_layers: usize = 12,
        /// Number of attention heads. Default 12.
        num_attention_heads: usize = 12,
        /// Width of the feed-forward layers. Default 3,072.
        intermediate_size: usize = 3_072,
        /// Activation of the feed-forward layers. Default GELU.
        hidden_act: HiddenAct = HiddenAct::Gelu,
        /// Probability of dropout of embeddings and outputs in training, in [0, 1). Default 0.1.
        hidden_dropout_prob: f64 = 0.1,
        /// Probability of dropout of attention in training, in [0, 1). Default 0.1.
        attention_probs_dropout_prob: f64 = 0.1,
        /// Most tokens of a text, plus 2. Default 512.
        max_position_embeddings: usize = 512,
        /// Standard deviation of initial weights. Default 0.02.
        initializer_range: f64 = 0.02,
        /// ε of layer normalisation. Default 10⁻¹².
        layer_norm_eps: f64 = 1e-12,
        /// Number of classes of distances; must be 32, the number that transformers computes with. Default 32.
        relative_attention_num_buckets: usize = 32,
        /// Token that pads texts; must be 1, to which transformers fixes it. Default 1.
        pad_token_id: u32 = 1,
    }
}

/// Configuration of a network of one of the [families](super).
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_models::text::TextConfig;
/// use dml_nn::Layer;
/// use rand::SeedableRng;
///
/// let config = r#"{"model_type": "bert", "vocab_size": 10, "hidden_size": 8, "num_hidden_layers": 1,
///     "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 5}"#;
/// let config = TextConfig::from_json(config)?;
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let network = config.build(rng, DType::F32, &Device::Cpu)?;
/// let states = network.forward(&Tensor::new(&[[2u32, 7, 3], [2, 3, 0]], &Device::Cpu)?)?;
/// assert_eq!(states.dims(), [2, 3, 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TextConfig {
    /// BERT.
    Bert(BertConfig),
    /// `RoBERTa`, XLM-R and `CamemBERT`.
    Roberta(RobertaConfig),
    /// `DistilBERT`.
    DistilBert(DistilBertConfig),
    /// `MPNet`.
    Mpnet(MpnetConfig),
    /// `ModernBERT`.
    ModernBert(ModernBertConfig),
}

/// The kinds of models that there are.
const MODEL_TYPES: &str = "bert, camembert, distilbert, modernbert, mpnet, roberta, xlm-roberta";

impl TextConfig {
    /// Reads a file `config.json`; unknown fields are ignored.
    ///
    /// # Errors
    /// [`ModelError::Io`] if the file can't be read, [`ModelError::Format`] if it is no JSON or has a value that is not
    /// supported.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = super::modules_file::read(path)?;
        Self::from_json(&text).map_err(|problem| ModelError::format(path, problem))
    }

    /// Reads the text of a `config.json`; unknown fields are ignored.
    ///
    /// # Errors
    /// What is wrong with the text, in a sentence.
    pub fn from_json(text: &str) -> std::result::Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct Kind {
            model_type: Option<String>,
        }
        fn read<C: serde::de::DeserializeOwned>(text: &str) -> std::result::Result<C, String> {
            serde_json::from_str(text).map_err(|error| error.to_string())
        }
        let kind: Kind = read(text)?;
        match kind.model_type.as_deref() {
            Some("bert") => Ok(Self::Bert(read(text)?)),
            Some("roberta" | "xlm-roberta" | "camembert") => Ok(Self::Roberta(read(text)?)),
            Some("distilbert") => Ok(Self::DistilBert(read(text)?)),
            Some("modernbert") => Ok(Self::ModernBert(read(text)?)),
            Some("mpnet") => Ok(Self::Mpnet(read(text)?)),
            Some(other) => Err(format!(
                "model_type: expected one of {MODEL_TYPES}, found {other}"
            )),
            None => Err(format!(
                "model_type: expected one of {MODEL_TYPES}, found none"
            )),
        }
    }

    /// A network with the initialisation of transformers: weights and embeddings from N(0, `initializer_range`²), zeros in the
    /// row of padding, biases of 0. In `ModernBERT` the last linear layers of attention and of the feed-forward part have
    /// `initializer_range` / √(2 · layers).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter), [`Error::Count`](dml_core::Error::Count) or
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) for a value that is not possible,
    /// [`Error::Size`](dml_core::Error::Size) if the parameters don't fit into memory.
    pub fn build(
        &self,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> dml_core::Result<TextTransformer> {
        TextTransformer::new(self, true, rng, dtype, device)
    }

    /// A network of zeros, into which weights are loaded.
    pub(crate) fn empty(
        &self,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> dml_core::Result<TextTransformer> {
        TextTransformer::new(self, false, rng, dtype, device)
    }
}
