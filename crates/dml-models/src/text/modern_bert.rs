//! `ModernBERT`: normalisation in front of each part, rotary positions, gated feed-forward layers, and attention to
//! neighbours in most layers.
//!
//! ```text
//! x₀ = D(LN(word[id]))        a = x + D(attention(LN(x)))        y = a + W_o D(f(u) ∘ g),   (u, g) = W_i LN(a)
//! ```
//!
//! D is dropout; the first layer has no LN in front of attention, and a last LN follows all layers. Queries and keys are
//! rotated by their positions. In layers of sliding attention a token sees the tokens at distances up to
//! `local_attention / 2`.
//!
//! Warner et al. 2024 (arXiv 2412.13663).

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{D, Device, Tensor};
use dml_core::{Error, Result, SeedSequence, autograd, check};
use dml_nn::attention::{AttentionOptions, export_attention, scaled_dot_product_attention};
use dml_nn::{
    Activation, CheckpointSwitch, Dropout, Embedding, Graph, GraphValue, Layer, LayerNorm,
    LayerNormConfig, Linear, Parameters, RotaryEmbedding, RotaryEmbeddingConfig,
};

use super::config::HiddenAct;
use super::layer::dropout;
use super::masked_layer::{MaskedLayer, Masks};
use super::tokens::{Padding, added_scores, distances, length, real_tokens, zero_or};
use crate::init::Init;

mod config;

pub use config::{ModernBertConfig, ModernBertLayerType, RopeParameters};

/// What is added in a graph to the score of a token that is not seen. It is finite, since a token of padding may see none: its
/// state, which nobody reads, would be NaN.
const UNSEEN: f64 = -1e30;

/// A network ([formula](self)): token ids `[batch, length]` → states `[batch, length, hidden]`.
#[derive(Debug)]
pub(super) struct ModernBert {
    words: Embedding,
    norm: LayerNorm,
    dropout: Dropout,
    layers: Vec<Arc<PreNormLayer>>,
    /// Whether layers are computed again in the backward pass.
    pub(super) checkpoint: CheckpointSwitch,
    final_norm: LayerNorm,
    config: ModernBertConfig,
}

/// A layer ([formula](self)).
#[derive(Debug)]
struct PreNormLayer {
    attention_norm: Option<LayerNorm>,
    qkv: Linear,
    attention_output: Linear,
    attention_dropout: Dropout,
    output_dropout: Dropout,
    rotary: RotaryEmbedding,
    sliding: bool,
    heads: usize,
    norm: LayerNorm,
    wide: Linear,
    narrow: Linear,
    activation: Activation,
    dropout: Dropout,
}

fn norm(config: &ModernBertConfig, init: &Init<'_>) -> Result<LayerNorm> {
    let own = LayerNormConfig {
        eps: config.norm_eps,
        bias: config.norm_bias,
        ..LayerNormConfig::new([config.hidden_size])
    };
    LayerNorm::new(own, init.dtype, init.device)
}

impl ModernBert {
    /// A network with initial weights, or of zeros.
    pub(super) fn new(config: &ModernBertConfig, drawn: bool, init: &mut Init<'_>) -> Result<Self> {
        let kinds = config.checked()?;
        let std = if drawn { config.initializer_range } else { 0.0 };
        let (hidden, pad) = (config.hidden_size, config.pad_token_id as usize);
        check::at_least_one("vocab_size", config.vocab_size)?;
        check::indices("pad_token_id", Some(pad), config.vocab_size)?;
        let weight = init.normal(&[config.vocab_size, hidden], std)?;
        let zeros = Tensor::zeros((1, hidden), init.dtype, init.device)?;
        let values = weight.as_detached_tensor();
        weight.set(&values.slice_assign(&[pad..pad + 1, 0..hidden], &zeros)?)?;
        let rotary = |kind| {
            let own = RotaryEmbeddingConfig {
                theta: config.rope_theta(kind)?,
                max_positions: config.max_position_embeddings,
                ..RotaryEmbeddingConfig::new(hidden / config.num_attention_heads)
            };
            RotaryEmbedding::new(own)
        };
        // One table of angles for all layers of a kind.
        let rotaries = [
            rotary(ModernBertLayerType::FullAttention)?,
            rotary(ModernBertLayerType::SlidingAttention)?,
        ];
        let mut layers = Vec::with_capacity(kinds.len());
        for (i, kind) in kinds.iter().enumerate() {
            let sliding = *kind == ModernBertLayerType::SlidingAttention;
            let rotary = rotaries[usize::from(sliding)].clone();
            let layer = PreNormLayer::new(config, i, (sliding, rotary), std, init)?;
            layers.push(Arc::new(layer));
        }
        Ok(Self {
            words: Embedding::from_parameters(weight, Some(pad))?,
            norm: norm(config, init)?,
            dropout: dropout(config.embedding_dropout, init)?,
            layers,
            checkpoint: CheckpointSwitch::default(),
            final_norm: norm(config, init)?,
            config: config.clone(),
        })
    }

    pub(super) fn config(&self) -> &ModernBertConfig {
        &self.config
    }

    /// Prefixes of the parameters in order of depth; the last normalisation belongs to the last layer.
    pub(super) fn block_prefixes(&self) -> Vec<Vec<String>> {
        let mut blocks = vec![vec!["embeddings".to_owned()]];
        blocks.extend((0..self.layers.len()).map(|i| vec![format!("layers.{i}")]));
        if let Some(last) = blocks.last_mut() {
            last.push("final_norm".to_owned());
        }
        blocks
    }

    /// `[1, 1, length, length]`: 0 for tokens that see each other in sliding attention, else −∞; none if all do.
    fn window(&self, length: usize, like: &Tensor, device: &Device) -> Result<Option<Tensor>> {
        let most = self.config.local_attention / 2;
        if length <= most + 1 {
            return Ok(None);
        }
        let number = |query: usize, key: usize| {
            if query.abs_diff(key) <= most {
                0f32
            } else {
                f32::NEG_INFINITY
            }
        };
        let all = (0..length).flat_map(|query| (0..length).map(move |key| number(query, key)));
        let shape = (1, 1, length, length);
        let mask = Tensor::from_vec(all.collect::<Vec<f32>>(), shape, device)?;
        Ok(Some(mask.to_dtype(like.dtype())?))
    }
}

impl Layer for ModernBert {
    fn forward_t(&self, ids: &Tensor, train: bool) -> Result<Tensor> {
        let padding = Padding::new(ids, self.config.pad_token_id)?;
        let most = self.config.max_position_embeddings;
        if padding.length > most {
            return Err(Error::Count {
                name: "length of ids",
                least: 1,
                most,
                got: padding.length,
            });
        }
        let x = self
            .norm
            .forward_t(&self.words.forward_t(ids, train)?, train)?;
        let mut x = self.dropout.forward_t(&x, train)?;
        let mask = padding.mask(ids.device())?;
        let window = self.window(padding.length, &x, ids.device())?;
        for layer in &self.layers {
            let masks = Masks {
                key_padding: mask.clone(),
                added: window.clone().filter(|_| layer.sliding),
            };
            x = masks.apply(layer, &x, &self.checkpoint, train)?;
        }
        self.final_norm.forward_t(&x, train)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.extend("embeddings.tok_embeddings", self.words.parameters());
        parameters.extend("embeddings.norm", self.norm.parameters());
        for (i, layer) in self.layers.iter().enumerate() {
            parameters.extend(&format!("layers.{i}"), layer.parameters());
        }
        parameters.extend("final_norm", self.final_norm.parameters());
        parameters
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        let layers = self.layers.iter().flat_map(Layer::seeds);
        self.dropout.seeds().into_iter().chain(layers).collect()
    }

    fn export(&self, graph: &mut Graph, ids: &GraphValue) -> Result<GraphValue> {
        let real = real_tokens(graph, ids, self.config.pad_token_id)?;
        let full = added_scores(graph, &real, UNSEEN)?;
        let length = length(graph, ids);
        let distances = distances(graph, &length)?;
        let distances = graph.node("Abs", &[&distances]);
        let most = graph.integers(&[(self.config.local_attention / 2) as i64])?;
        let within = graph.node("LessOrEqual", &[&distances, &most]);
        let window = zero_or(graph, &within, UNSEEN)?;
        let sliding = graph.node("Add", &[&full, &window]);
        // One table of angles for all layers of a kind.
        let mut angles = [None, None];
        let x = graph.part("embeddings.tok_embeddings", &self.words, ids)?;
        let mut x = graph.part("embeddings.norm", &self.norm, &x)?;
        for (i, layer) in self.layers.iter().enumerate() {
            let own = &mut angles[usize::from(layer.sliding)];
            let own = match own {
                Some(own) => &*own,
                None => own.insert(layer.rotary.export_angles(graph, &length)?),
            };
            let added = if layer.sliding { &sliding } else { &full };
            x = graph.scoped(&format!("layers.{i}"), |graph| {
                layer.export_masked(graph, &x, own, added)
            })?;
        }
        graph.part("final_norm", &self.final_norm, &x)
    }
}

impl PreNormLayer {
    fn new(
        config: &ModernBertConfig,
        number: usize,
        (sliding, rotary): (bool, RotaryEmbedding),
        std: f64,
        init: &mut Init<'_>,
    ) -> Result<Self> {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let both = wide.saturating_mul(2);
        let std_out = std / (2.0 * config.num_hidden_layers as f64).sqrt();
        let (attention_bias, mlp_bias) = (config.attention_bias, config.mlp_bias);
        Ok(Self {
            attention_norm: (number > 0).then(|| norm(config, init)).transpose()?,
            qkv: init.linear([hidden.saturating_mul(3), hidden], attention_bias, std)?,
            attention_output: init.linear([hidden, hidden], attention_bias, std_out)?,
            attention_dropout: dropout(config.attention_dropout, init)?,
            output_dropout: dropout(config.attention_dropout, init)?,
            rotary,
            sliding,
            heads: config.num_attention_heads,
            norm: norm(config, init)?,
            wide: init.linear([both, hidden], mlp_bias, std)?,
            narrow: init.linear([hidden, wide], mlp_bias, std_out)?,
            activation: config.hidden_activation.into(),
            dropout: dropout(config.mlp_dropout, init)?,
        })
    }

    fn rotated(&self, x: &Tensor, options: &AttentionOptions<'_>, train: bool) -> Result<Tensor> {
        let (batch, length, hidden) = x.dims3()?;
        let qkv = self.qkv.forward_t(x, train)?;
        // [batch, heads, length, width]
        let heads = |part: usize| -> Result<Tensor> {
            let own = qkv.narrow(D::Minus1, part * hidden, hidden)?.contiguous()?;
            let own = own.reshape((batch, length, self.heads, hidden / self.heads))?;
            Ok(own.transpose(1, 2)?)
        };
        let rotated = |part| self.rotary.forward_t(&heads(part)?.contiguous()?, train);
        let (query, key) = (rotated(0)?, rotated(1)?);
        let output = scaled_dot_product_attention(&query, &key, &heads(2)?, options)?;
        let output = output.transpose(1, 2)?.reshape((batch, length, hidden))?;
        self.attention_output.forward_t(&output, train)
    }

    /// As [`Layer::export`], with the angles of the positions and what is added to the scores.
    fn export_masked(
        &self,
        graph: &mut Graph,
        x: &GraphValue,
        angles: &[GraphValue; 2],
        added: &GraphValue,
    ) -> Result<GraphValue> {
        let normed = match &self.attention_norm {
            None => x.clone(),
            Some(norm) => graph.part("attn_norm", norm, x)?,
        };
        let qkv = graph.part("attn.Wqkv", &self.qkv, &normed)?;
        let heads = self.heads as i64;
        let (hidden, wide) = self.narrow.weight().dims2()?;
        let width = (hidden / self.heads) as i64;
        // [batch, length, 3, heads, width]
        let shape = graph.integers(&[0, 0, 3, heads, width])?;
        let parts = graph.node("Reshape", &[&qkv, &shape]);
        let mut part = |number: i64| -> Result<GraphValue> {
            let number = graph.constant("part", &Tensor::new(number, &Device::Cpu)?);
            let part = graph.node_with("Gather", &[&parts, &number], &[("axis", 2i64.into())]);
            let order = [("perm", [0i64, 2, 1, 3].into())];
            Ok(graph.node_with("Transpose", &[&part], &order))
        };
        let (query, key, value) = (part(0)?, part(1)?, part(2)?);
        let query = self.rotary.export_rotated(graph, &query, angles)?;
        let key = self.rotary.export_rotated(graph, &key, angles)?;
        let key = graph.node_with("Transpose", &[&key], &[("perm", [0i64, 1, 3, 2].into())]);
        let sums = export_attention(graph, [&query, &key, &value], [heads, width], Some(added))?;
        let attended = graph.part("attn.Wo", &self.attention_output, &sums)?;
        let x = graph.node("Add", &[x, &attended]);
        let normed = graph.part("mlp_norm", &self.norm, &x)?;
        let both = graph.part("mlp.Wi", &self.wide, &normed)?;
        let axis = graph.integers(&[-1])?;
        let bounds = [0, wide, 2 * wide].map(|bound| graph.integers(&[bound as i64]));
        let [start, middle, end] = bounds;
        let (start, middle, end) = (start?, middle?, end?);
        let gate = graph.node("Slice", &[&both, &start, &middle, &axis]);
        let other = graph.node("Slice", &[&both, &middle, &end, &axis]);
        let gate = self.activation.export(graph, &gate)?;
        let gated = graph.node("Mul", &[&gate, &other]);
        let output = graph.part("mlp.Wo", &self.narrow, &gated)?;
        Ok(graph.node("Add", &[&x, &output]))
    }
}

impl MaskedLayer for PreNormLayer {
    fn attend(&self, x: &Tensor, options: &AttentionOptions<'_>, train: bool) -> Result<Tensor> {
        let normed = match &self.attention_norm {
            None => x.clone(),
            Some(norm) => norm.forward_t(x, train)?,
        };
        let options = AttentionOptions {
            dropout: Some(&self.attention_dropout).filter(|_| train),
            ..*options
        };
        let attended = self.rotated(&normed, &options, train)?;
        let attended = self.output_dropout.forward_t(&attended, train)?;
        let x = autograd::sum(x, &attended)?;
        let both = self
            .wide
            .forward_t(&self.norm.forward_t(&x, train)?, train)?;
        let width = both.dim(D::Minus1)? / 2;
        let part = |start| both.narrow(D::Minus1, start, width)?.contiguous();
        let gated = (self.activation.forward_t(&part(0)?, train)? * part(width)?)?;
        let gated = self.dropout.forward_t(&gated, train)?;
        autograd::sum(&x, &self.narrow.forward_t(&gated, train)?)
    }
}

impl Layer for PreNormLayer {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        self.attend(x, &AttentionOptions::default(), train)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        if let Some(norm) = &self.attention_norm {
            parameters.extend("attn_norm", norm.parameters());
        }
        for (name, layer) in [
            ("attn.Wqkv", &self.qkv as &dyn Layer),
            ("attn.Wo", &self.attention_output),
            ("mlp_norm", &self.norm),
            ("mlp.Wi", &self.wide),
            ("mlp.Wo", &self.narrow),
        ] {
            parameters.extend(name, layer.parameters());
        }
        parameters
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        [&self.attention_dropout, &self.output_dropout, &self.dropout]
            .into_iter()
            .flat_map(Layer::seeds)
            .collect()
    }
}

#[cfg(test)]
mod tests;
