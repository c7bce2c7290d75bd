//! What the families differ in: names, positions, and where dropout stands.

use dml_core::{Result, check};
use dml_nn::{Activation, GeluForm};

use super::config::{BertConfig, HiddenAct, TextConfig};

/// Number of classes of distances that transformers' `MPNet` computes with.
pub(super) const BUCKETS: usize = 32;
/// Token that pads texts of `MPNet`.
const MPNET_PAD: u32 = 1;
/// ε of layer normalisation in `DistilBERT`.
const DISTILBERT_EPS: f64 = 1e-12;

/// Names of the parts of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    /// The list of layers.
    pub(super) layers: &'static str,
    /// Linear layers of queries, keys and values.
    pub(super) projections: [&'static str; 3],
    /// Linear layer behind attention.
    pub(super) attention_output: &'static str,
    pub(super) attention_norm: &'static str,
    /// Linear layers of the feed-forward part.
    pub(super) feed_forward: [&'static str; 2],
    pub(super) output_norm: &'static str,
}

const BERT: Parts = Parts {
    layers: "encoder.layer",
    projections: [
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
    ],
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    feed_forward: ["intermediate.dense", "output.dense"],
    output_norm: "output.LayerNorm",
};

const DISTILBERT: Parts = Parts {
    layers: "transformer.layer",
    projections: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
    attention_output: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    feed_forward: ["ffn.lin1", "ffn.lin2"],
    output_norm: "output_layer_norm",
};

const MPNET: Parts = Parts {
    projections: ["attention.attn.q", "attention.attn.k", "attention.attn.v"],
    attention_output: "attention.attn.o",
    attention_norm: "attention.LayerNorm",
    ..BERT
};

/// A network of layers with normalisation behind each part.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Prefix of the network in files of models with a head.
    pub(super) prefix: &'static str,
    pub(super) parts: Parts,
    pub(super) vocab_size: usize,
    pub(super) positions: usize,
    /// Number of kinds of tokens; none for a family without them.
    pub(super) types: Option<usize>,
    pub(super) hidden: usize,
    pub(super) intermediate: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) activation: Activation,
    pub(super) eps: f64,
    pub(super) initializer_range: f64,
    pub(super) pad: u32,
    /// Whether positions start behind the number of the padding token, which is the position of padding.
    pub(super) positions_after_padding: bool,
    /// Whether attention has a learned bias for each distance.
    pub(super) relative_bias: bool,
    /// Dropout of embeddings and feed-forward outputs.
    pub(super) dropout: f64,
    /// Dropout of the outputs of attention.
    pub(super) attention_output_dropout: f64,
    /// Dropout of the probabilities of attention.
    pub(super) attention_dropout: f64,
}

impl From<HiddenAct> for Activation {
    fn from(act: HiddenAct) -> Self {
        match act {
            HiddenAct::Gelu => Self::Gelu(GeluForm::Erf),
            HiddenAct::GeluNew => Self::Gelu(GeluForm::Tanh),
            HiddenAct::QuickGelu => Self::Gelu(GeluForm::Quick),
            HiddenAct::Relu => Self::Relu,
            HiddenAct::Silu => Self::Silu,
        }
    }
}

impl Plan {
    /// The plan of a family whose layers normalise behind each part; none for other families.
    pub(super) fn of(config: &TextConfig) -> Result<Option<Self>> {
        let plan = Self::post_norm(config)?;
        if let Some(plan) = &plan {
            check::non_negative("initializer_range", plan.initializer_range)?;
        }
        Ok(plan)
    }

    fn post_norm(config: &TextConfig) -> Result<Option<Self>> {
        Ok(Some(match config {
            TextConfig::ModernBert(_) => return Ok(None),
            TextConfig::Bert(config) => {
                encoder_only(config.is_decoder, config.add_cross_attention)?;
                Self::bert(config)
            }
            TextConfig::Roberta(own) => {
                encoder_only(own.is_decoder, own.add_cross_attention)?;
                let config = BertConfig {
                    vocab_size: own.vocab_size,
                    hidden_size: own.hidden_size,
                    num_hidden_layers: own.num_hidden_layers,
                    num_attention_heads: own.num_attention_heads,
                    intermediate_size: own.intermediate_size,
                    hidden_act: own.hidden_act,
                    hidden_dropout_prob: own.hidden_dropout_prob,
                    attention_probs_dropout_prob: own.attention_probs_dropout_prob,
                    max_position_embeddings: own.max_position_embeddings,
                    type_vocab_size: own.type_vocab_size,
                    initializer_range: own.initializer_range,
                    layer_norm_eps: own.layer_norm_eps,
                    pad_token_id: own.pad_token_id,
                    ..BertConfig::default()
                };
                Self {
                    prefix: "roberta",
                    positions_after_padding: true,
                    ..Self::bert(&config)
                }
            }
            TextConfig::DistilBert(own) => Self {
                prefix: "distilbert",
                parts: DISTILBERT,
                vocab_size: own.vocab_size,
                positions: own.max_position_embeddings,
                types: None,
                hidden: own.dim,
                intermediate: own.hidden_dim,
                layers: own.n_layers,
                heads: own.n_heads,
                activation: own.activation.into(),
                eps: DISTILBERT_EPS,
                initializer_range: own.initializer_range,
                pad: own.pad_token_id,
                positions_after_padding: false,
                relative_bias: false,
                dropout: own.dropout,
                attention_output_dropout: 0.0,
                attention_dropout: own.attention_dropout,
            },
            TextConfig::Mpnet(own) => {
                let buckets = own.relative_attention_num_buckets;
                let name = "relative_attention_num_buckets";
                check::whole(buckets == BUCKETS, name, buckets, "32")?;
                let pad = own.pad_token_id as usize;
                check::whole(own.pad_token_id == MPNET_PAD, "pad_token_id", pad, "1")?;
                Self {
                    prefix: "mpnet",
                    parts: MPNET,
                    vocab_size: own.vocab_size,
                    positions: own.max_position_embeddings,
                    types: None,
                    hidden: own.hidden_size,
                    intermediate: own.intermediate_size,
                    layers: own.num_hidden_layers,
                    heads: own.num_attention_heads,
                    activation: own.hidden_act.into(),
                    eps: own.layer_norm_eps,
                    initializer_range: own.initializer_range,
                    pad: own.pad_token_id,
                    positions_after_padding: true,
                    relative_bias: true,
                    dropout: own.hidden_dropout_prob,
                    attention_output_dropout: own.hidden_dropout_prob,
                    attention_dropout: own.attention_probs_dropout_prob,
                }
            }
        }))
    }

    fn bert(config: &BertConfig) -> Self {
        Self {
            prefix: "bert",
            parts: BERT,
            vocab_size: config.vocab_size,
            positions: config.max_position_embeddings,
            types: Some(config.type_vocab_size),
            hidden: config.hidden_size,
            intermediate: config.intermediate_size,
            layers: config.num_hidden_layers,
            heads: config.num_attention_heads,
            activation: config.hidden_act.into(),
            eps: config.layer_norm_eps,
            initializer_range: config.initializer_range,
            pad: config.pad_token_id,
            positions_after_padding: false,
            relative_bias: false,
            dropout: config.hidden_dropout_prob,
            attention_output_dropout: config.hidden_dropout_prob,
            attention_dropout: config.attention_probs_dropout_prob,
        }
    }

    /// Most tokens of a text.
    pub(super) fn most_tokens(&self) -> usize {
        if self.positions_after_padding {
            self.positions.saturating_sub(self.pad as usize + 1)
        } else {
            self.positions
        }
    }
}

fn encoder_only(is_decoder: bool, add_cross_attention: bool) -> Result<()> {
    check::supported(!is_decoder, "BERT", "is_decoder must be false")?;
    let reason = "add_cross_attention must be false";
    check::supported(!add_cross_attention, "BERT", reason)
}
