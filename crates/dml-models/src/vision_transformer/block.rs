//! A transformer block with normalisation in front of each part.
//!
//! ```text
//! a = x + s γ₁ ∘ attention(LN(x))        y = a + s γ₂ ∘ feed_forward(LN(a))
//! ```

use candle_core::{Tensor, Var};
use dml_core::{Result, SeedSequence, autograd, check};
use dml_nn::attention::AttentionOptions;
use dml_nn::{Activation, DropPath, FeedForward, Layer, LayerNorm, MultiHeadAttention, Parameters};

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
        })
    }

    fn forward(&self, x: &Tensor, options: &AttentionOptions<'_>, train: bool) -> Result<Tensor> {
        let normed = self.norms[0].forward_t(x, train)?;
        let x = self.added(0, x, self.attention.attend(&normed, options, train)?, train)?;
        let normed = self.norms[1].forward_t(&x, train)?;
        self.added(1, &x, self.feed_forward.forward_t(&normed, train)?, train)
    }

    /// `x + s γ ∘ branch`.
    fn added(&self, part: usize, x: &Tensor, branch: Tensor, train: bool) -> Result<Tensor> {
        let branch = match &self.layer_scales {
            None => branch,
            Some(scales) => branch.broadcast_mul(&scales[part])?,
        };
        autograd::sum(&self.stochastic_depth.forward_t(&branch, train)?, x)
    }

    fn parameters(&self) -> Parameters {
        let names = self.names;
        let mut parameters = Parameters::default();
        let branches = [self.attention.parameters(), self.feed_forward.parameters()];
        for (i, branch) in branches.into_iter().enumerate() {
            parameters.extend(names.norms[i], self.norms[i].parameters());
            for (name, var) in branch {
                parameters.push(name, var);
            }
            if let Some(scales) = &self.layer_scales {
                parameters.push(names.layer_scales[i], scales[i].clone());
            }
        }
        parameters
    }
}

/// The blocks of a network in order.
#[derive(Debug)]
pub(super) struct Blocks {
    name: &'static str,
    blocks: Vec<Block>,
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
        let blocks = (0..count).map(|i| Block::new(names, sizes, p * depth(i), init));
        let blocks = blocks.collect::<Result<_>>()?;
        Ok(Self { name, blocks })
    }

    pub(super) fn forward(
        &self,
        x: Tensor,
        options: &AttentionOptions<'_>,
        train: bool,
    ) -> Result<Tensor> {
        let mut blocks = self.blocks.iter();
        blocks.try_fold(x, |x, block| block.forward(&x, options, train))
    }

    pub(super) fn add_to(&self, parameters: &mut Parameters) {
        for (i, block) in self.blocks.iter().enumerate() {
            parameters.extend(&format!("{}.{i}", self.name), block.parameters());
        }
    }

    /// Prefixes of the parameters in order of depth, with those in front of the blocks first.
    pub(super) fn prefixes(&self, first: Vec<String>) -> Vec<Vec<String>> {
        let blocks = (0..self.blocks.len()).map(|i| vec![format!("{}.{i}", self.name)]);
        std::iter::once(first).chain(blocks).collect()
    }

    pub(super) fn seeds(&self) -> Vec<SeedSequence> {
        let blocks = self.blocks.iter();
        blocks
            .flat_map(|block| block.stochastic_depth.seeds())
            .collect()
    }
}
