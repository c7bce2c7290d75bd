//! Configuration of `ModernBERT`, as `config.json` has it.

use super::{BTreeMap, HiddenAct, Result, check};

/// Base of the wavelengths of full attention, unless the file has one.
const GLOBAL_THETA: f64 = 160_000.0;
/// Base of the wavelengths of sliding attention, unless the file has one.
const LOCAL_THETA: f64 = 10_000.0;
/// Most layers of a network.
const MOST_LAYERS: usize = 1_000;

/// What the tokens of a layer see.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ModernBertLayerType {
    /// All tokens.
    FullAttention,
    /// The tokens at distances up to `local_attention / 2`.
    SlidingAttention,
}

/// Rotary positions of one kind of layers.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RopeParameters {
    /// Base of the wavelengths. Default: 160,000 for full and 10,000 for sliding attention.
    pub rope_theta: Option<f64>,
    /// Kind of the angles; must be `default`. Default none, which is the same.
    pub rope_type: Option<String>,
}

/// Configuration of `ModernBERT`, with the names and defaults of transformers.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ModernBertConfig {
    /// Number of tokens, at least 1. Default 50,368.
    pub vocab_size: usize,
    /// Length of a token's state, a multiple of twice the number of heads. Default 768.
    pub hidden_size: usize,
    /// Width of the gated feed-forward layers. Default 1,152.
    pub intermediate_size: usize,
    /// Number of layers, 1 to 1,000. Default 22.
    pub num_hidden_layers: usize,
    /// Number of attention heads. Default 12.
    pub num_attention_heads: usize,
    /// Activation of the feed-forward layers. Default GELU.
    pub hidden_activation: HiddenAct,
    /// Most tokens of a text. Default 8,192.
    pub max_position_embeddings: usize,
    /// Standard deviation of initial weights. Default 0.02.
    pub initializer_range: f64,
    /// ε of layer normalisation. Default 10⁻⁵.
    pub norm_eps: f64,
    /// Whether layer normalisation has a bias. Default false.
    pub norm_bias: bool,
    /// Token that pads texts. Default 50,283.
    pub pad_token_id: u32,
    /// Whether the linear layers of attention have biases. Default false.
    pub attention_bias: bool,
    /// Probability of dropout of attention and its outputs in training, in [0, 1). Default 0.
    pub attention_dropout: f64,
    /// Kinds of the layers. Default: full attention in each `global_attn_every_n_layers`-th, from the first on.
    pub layer_types: Option<Vec<ModernBertLayerType>>,
    /// Distance of layers with full attention, at least 1; without effect beside `layer_types`. Default 3.
    pub global_attn_every_n_layers: usize,
    /// Number of tokens of a window of sliding attention. Default 128.
    pub local_attention: usize,
    /// Rotary positions by kind of layers. Default none: `global_rope_theta` and `local_rope_theta`.
    pub rope_parameters: Option<BTreeMap<ModernBertLayerType, RopeParameters>>,
    /// Base of the wavelengths of full attention. Default 160,000.
    pub global_rope_theta: Option<f64>,
    /// Base of the wavelengths of sliding attention. Default 10,000.
    pub local_rope_theta: Option<f64>,
    /// Scaling of rotary positions; must be none. Default none.
    pub rope_scaling: Option<serde_json::Value>,
    /// Probability of dropout of embeddings in training, in [0, 1). Default 0.
    pub embedding_dropout: f64,
    /// Whether the linear layers of the feed-forward part have biases. Default false.
    pub mlp_bias: bool,
    /// Probability of dropout within the feed-forward part in training, in [0, 1). Default 0.
    pub mlp_dropout: f64,
}

impl Default for ModernBertConfig {
    fn default() -> Self {
        Self {
            vocab_size: 50_368,
            hidden_size: 768,
            intermediate_size: 1_152,
            num_hidden_layers: 22,
            num_attention_heads: 12,
            hidden_activation: HiddenAct::Gelu,
            max_position_embeddings: 8_192,
            initializer_range: 0.02,
            norm_eps: 1e-5,
            norm_bias: false,
            pad_token_id: 50_283,
            attention_bias: false,
            attention_dropout: 0.0,
            layer_types: None,
            global_attn_every_n_layers: 3,
            local_attention: 128,
            rope_parameters: None,
            global_rope_theta: None,
            local_rope_theta: None,
            rope_scaling: None,
            embedding_dropout: 0.0,
            mlp_bias: false,
            mlp_dropout: 0.0,
        }
    }
}

impl ModernBertConfig {
    /// Kinds of the layers, if all values are possible.
    pub(super) fn checked(&self) -> Result<Vec<ModernBertLayerType>> {
        let count = check::count("num_hidden_layers", self.num_hidden_layers, MOST_LAYERS)?;
        let (hidden, heads) = (self.hidden_size, self.num_attention_heads);
        check::at_least_one("hidden_size", hidden)?;
        check::at_least_one("num_attention_heads", heads)?;
        let name = "num_attention_heads";
        check::whole(
            hidden.is_multiple_of(heads),
            name,
            heads,
            "a divisor of hidden_size",
        )?;
        check::at_least_one("intermediate_size", self.intermediate_size)?;
        check::at_least_one("max_position_embeddings", self.max_position_embeddings)?;
        check::non_negative("initializer_range", self.initializer_range)?;
        let scaling = self.rope_scaling.is_none();
        check::supported(scaling, "ModernBERT", "rope_scaling must be null")?;
        let every = check::at_least_one(
            "global_attn_every_n_layers",
            self.global_attn_every_n_layers,
        )?;
        match &self.layer_types {
            Some(types) => {
                check::length("layer_types", count, types.len())?;
                Ok(types.clone())
            }
            None => Ok((0..count)
                .map(|i| {
                    if i.is_multiple_of(every) {
                        ModernBertLayerType::FullAttention
                    } else {
                        ModernBertLayerType::SlidingAttention
                    }
                })
                .collect()),
        }
    }

    /// Base of the wavelengths of a kind of layers.
    pub(super) fn rope_theta(&self, kind: ModernBertLayerType) -> Result<f64> {
        let (old, default) = match kind {
            ModernBertLayerType::FullAttention => (self.global_rope_theta, GLOBAL_THETA),
            ModernBertLayerType::SlidingAttention => (self.local_rope_theta, LOCAL_THETA),
        };
        let own = self.rope_parameters.as_ref().and_then(|all| all.get(&kind));
        if let Some(other) = own.and_then(|own| own.rope_type.as_deref()) {
            let reason = "rope_type must be default";
            check::supported(other == "default", "ModernBERT", reason)?;
        }
        let theta = own.and_then(|own| own.rope_theta).or(old);
        Ok(theta.unwrap_or(default))
    }
}
