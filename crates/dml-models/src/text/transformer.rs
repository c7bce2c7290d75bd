//! A network of one of the families.

use candle_core::{DType, Device, Tensor};
use dml_core::{Result, SeedSequence};
use dml_nn::{CheckpointSwitch, Graph, GraphValue, Layer, Parameters};
use rand::RngCore;

use super::config::TextConfig;
use super::modern_bert::ModernBert;
use super::plan::Plan;
use super::post_norm::PostNormTransformer;
use crate::init::Init;
use crate::names::Names;

/// Prefixes of heads and of numbers that no computation of an encoder reads.
pub(super) const HEADS: [&str; 12] = [
    "pooler",
    "cls",
    "classifier",
    "lm_head",
    "qa_outputs",
    "pre_classifier",
    "vocab_transform",
    "vocab_layer_norm",
    "vocab_projector",
    "embeddings.position_ids",
    "head",
    "decoder",
];

/// A network from token ids `[batch, length]`, padded, to states `[batch, length, hidden_size]`.
///
/// Padding is seen by no token. [`TextConfig::build`] makes one.
#[derive(Debug)]
pub struct TextTransformer(Family);

#[derive(Debug)]
enum Family {
    PostNorm(Box<PostNormTransformer>),
    ModernBert(Box<ModernBert>),
}

impl TextTransformer {
    /// A network with initial weights, or of zeros.
    pub(super) fn new(
        config: &TextConfig,
        drawn: bool,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        if let TextConfig::ModernBert(config) = config {
            let init = &mut Init { rng, dtype, device };
            let network = ModernBert::new(config, drawn, init)?;
            return Ok(Self(Family::ModernBert(Box::new(network))));
        }
        let plan = Plan::of(config)?;
        let mut plan = dml_core::check::present(plan, "TextConfig", "a family of networks")?;
        if !drawn {
            plan.initializer_range = 0.0;
        }
        let network = PostNormTransformer::new(&plan, rng, dtype, device)?;
        Ok(Self(Family::PostNorm(Box::new(network))))
    }

    /// Length of a token's state.
    #[must_use]
    pub fn hidden_size(&self) -> usize {
        match &self.0 {
            Family::PostNorm(network) => network.plan().hidden,
            Family::ModernBert(network) => network.config().hidden_size,
        }
    }

    /// Most tokens of a text.
    #[must_use]
    pub fn most_tokens(&self) -> usize {
        match &self.0 {
            Family::PostNorm(network) => network.plan().most_tokens(),
            Family::ModernBert(network) => network.config().max_position_embeddings,
        }
    }

    /// Token that pads texts.
    #[must_use]
    pub fn pad_token_id(&self) -> u32 {
        match &self.0 {
            Family::PostNorm(network) => network.plan().pad,
            Family::ModernBert(network) => network.config().pad_token_id,
        }
    }

    /// Rules for files of transformers: the network's prefix in models with a head, names of 2018, and the heads, which are
    /// left out.
    pub(super) fn file_names(&self, names: Names) -> Names {
        let prefix = match &self.0 {
            Family::PostNorm(network) => network.plan().prefix,
            Family::ModernBert(_) => "model",
        };
        let names = names
            .part(prefix)
            .rename("LayerNorm.gamma", "LayerNorm.weight")
            .rename("LayerNorm.beta", "LayerNorm.bias");
        HEADS.into_iter().fold(names, Names::leave_out)
    }

    /// Prefixes of the parameters in order of depth.
    pub(super) fn block_prefixes(&self) -> Vec<Vec<String>> {
        match &self.0 {
            Family::PostNorm(network) => network.block_prefixes(),
            Family::ModernBert(network) => network.block_prefixes(),
        }
    }

    /// Whether layers are computed again in the backward pass.
    pub(super) fn checkpoint(&self) -> &CheckpointSwitch {
        match &self.0 {
            Family::PostNorm(network) => &network.checkpoint,
            Family::ModernBert(network) => &network.checkpoint,
        }
    }

    fn layer(&self) -> &dyn Layer {
        match &self.0 {
            Family::PostNorm(network) => network.as_ref(),
            Family::ModernBert(network) => network.as_ref(),
        }
    }
}

impl Layer for TextTransformer {
    fn forward_t(&self, ids: &Tensor, train: bool) -> Result<Tensor> {
        self.layer().forward_t(ids, train)
    }

    fn parameters(&self) -> Parameters {
        self.layer().parameters()
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        self.layer().seeds()
    }

    fn export(&self, graph: &mut Graph, ids: &GraphValue) -> Result<GraphValue> {
        self.layer().export(graph, ids)
    }
}
