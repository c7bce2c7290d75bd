//! Pooling of tokens by the attention of a learned query.
//!
//! ```text
//! h = attention(query, x, x)        y = h + feed_forward(LN(h))
//! ```
//!
//! Zhai et al. 2022, "Scaling Vision Transformers" (arXiv 2106.04560), with the names of transformers' `SigLIP`.

use candle_core::{Tensor, Var};
use dml_core::{Result, autograd, in_graph};
use dml_nn::attention::AttentionOptions;
use dml_nn::{
    FeedForward, Graph, GraphValue, Layer, LayerNorm, MultiHeadAttention, MultiHeadAttentionConfig,
    Parameters,
};

use super::STD;
use super::block::BlockSizes;
use super::patch_tokens::for_each_image;
use crate::init::Init;

/// Pooling ([formula](self)): `[N, tokens, hidden]` → `[N, hidden]`.
#[derive(Debug)]
pub(super) struct AttentionPool {
    query: Var,
    attention: MultiHeadAttention,
    norm: LayerNorm,
    feed_forward: FeedForward,
}

impl AttentionPool {
    pub(super) fn new(sizes: &BlockSizes, init: &mut Init<'_>) -> Result<Self> {
        let hidden = sizes.hidden;
        let attention = MultiHeadAttentionConfig::new(hidden, sizes.heads);
        Ok(Self {
            query: init.normal(&[1, 1, hidden], STD)?,
            attention: MultiHeadAttention::new(attention, init.rng, init.dtype, init.device)?,
            norm: init.layer_norm(hidden, sizes.eps)?,
            feed_forward: sizes.feed_forward(["fc1", "fc2"], init)?,
        })
    }
}

impl Layer for AttentionPool {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let (batch, _, hidden) = x.dims3()?;
        let query = in_graph(&self.query).broadcast_as((batch, 1, hidden))?;
        let query = query.contiguous()?;
        let options = AttentionOptions::default();
        let pooled = self.attention.attend_to([&query, x, x], &options, train)?;
        let normed = self.norm.forward_t(&pooled, train)?;
        let fed = self.feed_forward.forward_t(&normed, train)?;
        Ok(autograd::sum(&fed, &pooled)?.squeeze(1)?)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.push("probe", self.query.clone());
        parameters.extend("attention", self.attention.parameters());
        parameters.extend("layernorm", self.norm.parameters());
        parameters.extend("mlp", self.feed_forward.parameters());
        parameters
    }

    fn export(&self, graph: &mut Graph, x: &GraphValue) -> Result<GraphValue> {
        let query = graph.constant("probe", &self.query);
        let query = for_each_image(graph, &query, x, [1, self.query.dims()[2]])?;
        let pooled = graph.scoped("attention", |graph| {
            self.attention.export_attending(graph, [&query, x, x], None)
        })?;
        let normed = graph.part("layernorm", &self.norm, &pooled)?;
        let fed = graph.part("mlp", &self.feed_forward, &normed)?;
        let sum = graph.node("Add", &[&fed, &pooled]);
        let axis = graph.integers(&[1])?;
        Ok(graph.node("Squeeze", &[&sum, &axis]))
    }
}
