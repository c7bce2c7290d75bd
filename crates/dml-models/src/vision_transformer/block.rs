//! A transformer block with normalisation in front of each part.
//!
//! ```text
//! a = x + s γ₁ ∘ attention(LN(x))        y = a + s γ₂ ∘ feed_forward(LN(a))
//! ```

use std::sync::Arc;

use candle_core::{Tensor, Var};
use dml_core::{Result, SeedSequence, autograd, check, in_graph};
use dml_nn::attention::AttentionOptions;
use dml_nn::{
    Activation, ActivationCheckpoint, CheckpointSwitch, DropPath, FeedForward, Graph, GraphValue,
    Layer, LayerNorm, MultiHeadAttention, Parameters, Sequential,
};

use super::{MOST_BLOCKS, STD};
use crate::init::Init;
use crate::residual::stochastic_depth;

/// Names of the parts of a block.
#[derive(Debug)]
pub(super) struct BlockNames {
    pub(super) norms: [&'static str; 2],
    pub(super) projections: Projections,
    pub(super) attention_output: &'static str,
    pub(super) layer_scales: [&'static str; 2],
    pub(super) feed_forward: [&'static str; 2],
}

/// Names of the linear layers of queries, keys and values.
#[derive(Debug)]
pub(super) enum Projections {
    /// One layer for all three.
    Packed(&'static str),
    /// A layer each.
    Separate([&'static str; 3]),
}

/// Names in CLIP and `SigLIP` of transformers.
pub(super) const CLIP_BLOCK: BlockNames = BlockNames {
    norms: ["layer_norm1", "layer_norm2"],
    projections: Projections::Separate([
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
    ]),
    attention_output: "self_attn.out_proj",
    layer_scales: ["", ""],
    feed_forward: ["mlp.fc1", "mlp.fc2"],
};

/// Sizes of the blocks of a network.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockSizes {
    pub(super) hidden: usize,
    pub(super) heads: usize,
    pub(super) intermediate: usize,
    pub(super) activation: Activation,
    pub(super) eps: f64,
    /// Initial value of γ; none for blocks without it.
    pub(super) layer_scale: Option<f64>,
    /// Whether tokens see earlier ones alone.
    pub(super) is_causal: bool,
}

impl BlockSizes {
    pub(super) fn feed_forward(
        &self,
        names: [&'static str; 2],
        init: &mut Init<'_>,
    ) -> Result<FeedForward> {
        let (hidden, wide) = (self.hidden, self.intermediate);
        FeedForward::new(
            (names[0], init.linear([wide, hidden], true, STD)?),
            self.activation,
            (names[1], init.linear([hidden, wide], true, STD)?),
        )
    }
}

/// A block ([formula](self)): `[batch, length, hidden]` to the same shape.
#[derive(Debug)]
pub(super) struct Block {
    names: &'static BlockNames,
    norms: [LayerNorm; 2],
    attention: MultiHeadAttention,
    feed_forward: FeedForward,
    layer_scales: Option<[Var; 2]>,
    stochastic_depth: DropPath,
    /// Whether tokens see earlier ones alone.
    is_causal: bool,
}

impl Block {
    /// A block whose parts are skipped in training with probability `p`.
    fn new(
        names: &'static BlockNames,
        sizes: &BlockSizes,
        p: f64,
        init: &mut Init<'_>,
    ) -> Result<Self> {
        let hidden = sizes.hidden;
        let norm = || init.layer_norm(hidden, sizes.eps);
        let norms = [norm()?, norm()?];
        let mut linear = |outputs| init.linear([outputs, hidden], true, STD);
        let output = (names.attention_output, linear(hidden)?);
        let attention = match names.projections {
            Projections::Packed(name) => {
                let all = linear(hidden.saturating_mul(3))?;
                MultiHeadAttention::packed((name, all), output, sizes.heads)?
            }
            Projections::Separate([query, key, value]) => {
                let all = [
                    (query, linear(hidden)?),
                    (key, linear(hidden)?),
                    (value, linear(hidden)?),
                ];
                MultiHeadAttention::separate(all, output, sizes.heads)?
            }
        };
        let scale = |value| -> Result<[Var; 2]> {
            let scale = || init.constant(&[hidden], value);
            Ok([scale()?, scale()?])
        };
        Ok(Self {
            names,
            norms,
            attention,
            layer_scales: sizes.layer_scale.map(scale).transpose()?,
            feed_forward: sizes.feed_forward(names.feed_forward, init)?,
            stochastic_depth: stochastic_depth(p, init.seeds())?,
            is_causal: sizes.is_causal,
        })
    }

    /// `x + s γ ∘ branch`.
    fn added(&self, part: usize, x: &Tensor, branch: Tensor, train: bool) -> Result<Tensor> {
        let branch = match &self.layer_scales {
            None => branch,
            Some(scales) => branch.broadcast_mul(&in_graph(&scales[part]))?,
        };
        autograd::sum(&self.stochastic_depth.forward_t(&branch, train)?, x)
    }

    /// As [`Layer::export`], with what is added to the scores of attention.
    fn export_masked(
        &self,
        graph: &mut Graph,
        x: &GraphValue,
        added: Option<&GraphValue>,
    ) -> Result<GraphValue> {
        let normed = graph.part(self.names.norms[0], &self.norms[0], x)?;
        let attended = self.attention.export_masked(graph, &normed, added)?;
        let x = self.export_added(graph, 0, x, attended);
        let normed = graph.part(self.names.norms[1], &self.norms[1], &x)?;
        let fed = self.feed_forward.export(graph, &normed)?;
        Ok(self.export_added(graph, 1, &x, fed))
    }

    fn export_added(
        &self,
        graph: &mut Graph,
        part: usize,
        x: &GraphValue,
        branch: GraphValue,
    ) -> GraphValue {
        let branch = match &self.layer_scales {
            None => branch,
            Some(scales) => {
                let scale = graph.constant(self.names.layer_scales[part], &scales[part]);
                graph.node("Mul", &[&branch, &scale])
            }
        };
        graph.node("Add", &[&branch, x])
    }
}

impl Layer for Block {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let options = AttentionOptions {
            is_causal: self.is_causal,
            ..AttentionOptions::default()
        };
        let normed = self.norms[0].forward_t(x, train)?;
        let attended = self.attention.attend(&normed, &options, train)?;
        let x = self.added(0, x, attended, train)?;
        let normed = self.norms[1].forward_t(&x, train)?;
        self.added(1, &x, self.feed_forward.forward_t(&normed, train)?, train)
    }

    fn parameters(&self) -> Parameters {
        let names = self.names;
        let mut parameters = Parameters::default();
        let branches = [self.attention.parameters(), self.feed_forward.parameters()];
        for (i, branch) in branches.into_iter().enumerate() {
            parameters.extend(names.norms[i], self.norms[i].parameters());
            parameters.add(branch);
            if let Some(scales) = &self.layer_scales {
                parameters.push(names.layer_scales[i], scales[i].clone());
            }
        }
        parameters
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        self.stochastic_depth.seeds()
    }
}

/// The blocks of a network in order.
#[derive(Debug)]
pub(super) struct Blocks {
    name: &'static str,
    layers: Vec<Arc<Block>>,
    /// The same layers, behind checkpoints.
    blocks: Sequential,
    /// Whether blocks are computed again in the backward pass.
    pub(super) checkpoint: CheckpointSwitch,
}

impl Blocks {
    /// `count` blocks whose parameters have `name` and their number before their names. The probability that a part is skipped
    /// grows linearly from 0 to `p`.
    pub(super) fn new(
        (name, names): (&'static str, &'static BlockNames),
        count: usize,
        sizes: &BlockSizes,
        p: f64,
        init: &mut Init<'_>,
    ) -> Result<Self> {
        check::at_least_one("hidden_size", sizes.hidden)?;
        check::at_least_one("intermediate_size", sizes.intermediate)?;
        check::count("num_hidden_layers", count, MOST_BLOCKS)?;
        // A single block has depth 0.
        let depth = |i: usize| i as f64 / (count.max(2) - 1) as f64;
        let checkpoint = CheckpointSwitch::default();
        let layers = (0..count).map(|i| Block::new(names, sizes, p * depth(i), init).map(Arc::new));
        let layers: Vec<Arc<Block>> = layers.collect::<Result<_>>()?;
        let mut blocks = Sequential::default();
        for (i, block) in layers.iter().enumerate() {
            let block = ActivationCheckpoint::with_switch(block.clone(), &checkpoint);
            blocks = blocks.with(i.to_string(), block);
        }
        Ok(Self {
            name,
            layers,
            blocks,
            checkpoint,
        })
    }

    pub(super) fn forward(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        self.blocks.forward_t(x, train)
    }

    /// As [`Layer::export`], with what is added to the scores of attention.
    pub(super) fn export(
        &self,
        graph: &mut Graph,
        x: GraphValue,
        added: Option<&GraphValue>,
    ) -> Result<GraphValue> {
        let mut blocks = self.layers.iter().enumerate();
        blocks.try_fold(x, |x, (i, block)| {
            let name = format!("{}.{i}", self.name);
            graph.scoped(&name, |graph| block.export_masked(graph, &x, added))
        })
    }

    pub(super) fn add_to(&self, parameters: &mut Parameters) {
        parameters.extend(self.name, self.blocks.parameters());
    }

    /// Prefixes of the parameters in order of depth, with those in front of the blocks first.
    pub(super) fn prefixes(&self, first: Vec<String>) -> Vec<Vec<String>> {
        let blocks = (0..self.blocks.iter().len()).map(|i| vec![format!("{}.{i}", self.name)]);
        std::iter::once(first).chain(blocks).collect()
    }

    pub(super) fn seeds(&self) -> Vec<SeedSequence> {
        self.blocks.seeds()
    }
}
