//! Text towers that were trained beside image towers.
//!
//! ```text
//! x₀ = word[id] + p          xₗ = blockₗ(xₗ₋₁)          embedding = W LN(x_L)[t] + b
//! ```
//!
//! | family | attention | t | b |
//! |---|---|---|---|
//! | [`Clip`](TextTowerFamily::Clip) | to earlier tokens | first end token | no |
//! | [`Siglip`](TextTowerFamily::Siglip) | to all tokens, padding too | last of `max_position_embeddings` | yes |

use candle_core::{DType, Device, Tensor};
use dml_core::{Result, SeedSequence, check};
use dml_nn::{ElementType, Embedding, Graph, GraphValue, Layer, LayerNorm, Linear, Parameters};
use rand::RngCore;

use super::STD;
use super::block::{BlockNames, BlockSizes, Blocks, CLIP_BLOCK};
use crate::backbone::{Backbone, by_prefix, trainable};
use crate::init::Init;
use crate::text::{HiddenAct, tokens};

/// Names of the blocks and of their parts.
const BLOCKS: (&str, &BlockNames) = ("text_model.encoder.layers", &CLIP_BLOCK);

/// Whose names and parts a [`TextTower`] has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TextTowerFamily {
    /// Text tower of transformers' `CLIPModel` with its projection.
    #[default]
    Clip,
    /// Text tower of transformers' `SiglipModel`.
    Siglip,
}

/// Configuration of [`TextTower`].
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TextTowerConfig {
    /// Names of the parameters, attention and pooling. Default CLIP's.
    pub family: TextTowerFamily,
    /// Number of tokens, at least 1. Default 49,408.
    pub vocab_size: usize,
    /// Length of a token's state, a multiple of the number of heads. Default 512.
    pub hidden_size: usize,
    /// Number of blocks, 1 to 1,000. Default 12.
    pub num_hidden_layers: usize,
    /// Number of attention heads. Default 8.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layers. Default 2,048.
    pub intermediate_size: usize,
    /// Activation of the feed-forward layers. Default GELU by the logistic function.
    pub hidden_act: HiddenAct,
    /// ε of layer normalisation, in `[1e-30, 1e30]`. Default 10⁻⁵.
    pub layer_norm_eps: f64,
    /// Most tokens of a text. Default 77.
    pub max_position_embeddings: usize,
    /// Token that ends texts and pads them. Default 49,407.
    pub end_token_id: u32,
    /// Length of embeddings. Default 512.
    pub projection_dim: usize,
}

impl Default for TextTowerConfig {
    fn default() -> Self {
        Self::clip_vit_base_patch32()
    }
}

impl TextTowerConfig {
    /// Text tower of CLIP ViT-B/32 and ViT-B/16: 512 numbers, 63.4 million parameters.
    #[must_use]
    pub fn clip_vit_base_patch32() -> Self {
        Self {
            family: TextTowerFamily::Clip,
            vocab_size: 49_408,
            hidden_size: 512,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            intermediate_size: 2048,
            hidden_act: HiddenAct::QuickGelu,
            layer_norm_eps: 1e-5,
            max_position_embeddings: 77,
            end_token_id: 49_407,
            projection_dim: 512,
        }
    }

    /// Text tower of `SigLIP` base: 768 numbers, 110.3 million parameters.
    #[must_use]
    pub fn siglip_base_patch16_224() -> Self {
        Self {
            family: TextTowerFamily::Siglip,
            vocab_size: 32_000,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: HiddenAct::GeluNew,
            layer_norm_eps: 1e-6,
            max_position_embeddings: 64,
            end_token_id: 1,
            projection_dim: 768,
        }
    }

    /// Name of the last linear layer.
    fn projection(&self) -> &'static str {
        match self.family {
            TextTowerFamily::Clip => "text_projection",
            TextTowerFamily::Siglip => "text_model.head",
        }
    }
}

/// A text tower: token ids `[N, length]` → `[N, projection_dim]`.
///
/// ```text
/// x₀ = word[id] + p          xₗ = blockₗ(xₗ₋₁)          embedding = W LN(x_L)[t] + b
/// ```
///
/// t is the first end token in CLIP, and the last of `max_position_embeddings` in `SigLIP`; CLIP has no b.
///
/// Texts end with [`end_token_id`](TextTowerConfig::end_token_id) and are padded with it. Ids come from
/// [`TextTokenizer::from_json`](crate::text::TextTokenizer::from_json) with the published `tokenizer.json`, this token and
/// `max_position_embeddings`. The tower of `SigLIP` pads texts to `max_position_embeddings`, as it was trained.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_models::{TextTower, TextTowerConfig};
/// use dml_nn::Layer;
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let mut config = TextTowerConfig::clip_vit_base_patch32();
/// (config.vocab_size, config.num_hidden_layers, config.end_token_id) = (10, 1, 9);
/// let tower = TextTower::new(config, rng, DType::F32, &Device::Cpu)?;
/// let ids = Tensor::new(&[[8u32, 3, 9, 9], [8, 1, 2, 9]], &Device::Cpu)?;
/// assert_eq!(tower.forward(&ids)?.dims(), [2, 512]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct TextTower {
    words: Embedding,
    positions: Embedding,
    blocks: Blocks,
    norm: LayerNorm,
    projection: Linear,
    config: TextTowerConfig,
}

impl TextTower {
    /// A tower with weights from N(0, 0.02²) and biases of 0.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter), [`Error::Count`](dml_core::Error::Count) or
    /// [`Error::Index`](dml_core::Error::Index) for a number out of its range, [`Error::Size`](dml_core::Error::Size) if the
    /// parameters don't fit into memory.
    pub fn new(
        config: TextTowerConfig,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let init = &mut Init { rng, dtype, device };
        let rows = check::at_least_one("vocab_size", config.vocab_size)?;
        check::indices("end_token_id", Some(config.end_token_id as usize), rows)?;
        let hidden = config.hidden_size;
        let length = config.max_position_embeddings;
        check::at_least_one("max_position_embeddings", length)?;
        let sizes = BlockSizes {
            hidden,
            heads: config.num_attention_heads,
            intermediate: config.intermediate_size,
            activation: config.hidden_act.into(),
            eps: config.layer_norm_eps,
            layer_scale: None,
            is_causal: config.family == TextTowerFamily::Clip,
        };
        let outputs = check::at_least_one("projection_dim", config.projection_dim)?;
        let bias = config.family == TextTowerFamily::Siglip;
        let blocks = Blocks::new(BLOCKS, config.num_hidden_layers, &sizes, 0.0, init)?;
        Ok(Self {
            words: Embedding::from_parameters(init.normal(&[rows, hidden], STD)?, None)?,
            positions: Embedding::from_parameters(init.normal(&[length, hidden], STD)?, None)?,
            blocks,
            norm: init.layer_norm(hidden, sizes.eps)?,
            projection: init.linear([outputs, hidden], bias, STD)?,
            config,
        })
    }

    /// Configuration of the tower.
    #[must_use]
    pub fn config(&self) -> &TextTowerConfig {
        &self.config
    }

    /// The ids that the blocks see, and the place of the token in each row whose state is the text's.
    fn prepared(&self, ids: &Tensor) -> Result<(Tensor, Vec<u32>)> {
        let expected = "[N, length] of 1 to max_position_embeddings token ids";
        let most = self.config.max_position_embeddings;
        let fits = ids.rank() == 2 && (1..=most).contains(&ids.dims()[1]);
        check::shape(fits, "ids", ids, expected)?;
        check::dtype(
            !ids.dtype().is_float(),
            "ids",
            ids,
            "whole numbers: u8, u32 or i64",
        )?;
        let ids = ids.to_dtype(DType::I64)?;
        let (batch, length) = ids.dims2()?;
        let end = i64::from(self.config.end_token_id);
        if self.config.family == TextTowerFamily::Siglip {
            let rest = Tensor::full(end, (batch, most - length), ids.device())?;
            return Ok((
                Tensor::cat(&[&ids, &rest], 1)?,
                vec![most as u32 - 1; batch],
            ));
        }
        let rows = ids.to_vec2::<i64>()?;
        let ends = rows.iter().map(|row| row.iter().position(|id| *id == end));
        let ends: Option<Vec<u32>> = ends.map(|end| end.map(|end| end as u32)).collect();
        let expected = "[N, length] with end_token_id in every row";
        check::shape(ends.is_some(), "ids", &ids, expected)?;
        Ok((ids, ends.unwrap_or_default()))
    }
}

impl Layer for TextTower {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let (ids, places) = self.prepared(input)?;
        let (batch, length) = ids.dims2()?;
        let numbers = Tensor::arange(0, length as u32, ids.device())?;
        let positions = self.positions.forward_t(&numbers, train)?;
        let x = self
            .words
            .forward_t(&ids, train)?
            .broadcast_add(&positions)?;
        let x = self.blocks.forward(&x, train)?;
        let rows = places.iter().enumerate();
        let rows = rows.map(|(row, place)| (row * length) as u32 + place);
        let rows = Tensor::from_iter(rows, ids.device())?;
        let x = x.reshape((batch * length, ()))?.index_select(&rows, 0)?;
        self.projection
            .forward_t(&self.norm.forward_t(&x, train)?, train)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        let mut add = |name: &str, layer: &dyn Layer| parameters.extend(name, layer.parameters());
        add("text_model.embeddings.token_embedding", &self.words);
        add("text_model.embeddings.position_embedding", &self.positions);
        self.blocks.add_to(&mut parameters);
        parameters.extend("text_model.final_layer_norm", self.norm.parameters());
        parameters.extend(self.config.projection(), self.projection.parameters());
        parameters
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        self.blocks.seeds()
    }

    fn export(&self, graph: &mut Graph, ids: &GraphValue) -> Result<GraphValue> {
        let (most, end) = (
            self.config.max_position_embeddings as i64,
            i64::from(self.config.end_token_id),
        );
        let is_siglip = self.config.family == TextTowerFamily::Siglip;
        let ids = if is_siglip {
            let most = graph.integers(&[most])?;
            let length = tokens::length(graph, ids);
            let room = graph.node("Sub", &[&most, &length]);
            let others = graph.integers(&[0, 0, 0])?;
            let room = graph.node_with("Concat", &[&others, &room], &[("axis", 0i64.into())]);
            let end = graph.constant("end", &Tensor::new(end, &Device::Cpu)?);
            graph.node("Pad", &[ids, &room, &end])
        } else {
            ids.clone()
        };
        let length = tokens::length(graph, &ids);
        let words = graph.part("text_model.embeddings.token_embedding", &self.words, &ids)?;
        let table = "text_model.embeddings.position_embedding.weight";
        let table = graph.constant(table, self.positions.weight());
        let [zero, axis] = [0, 0].map(|number| graph.integers(&[number]));
        let positions = graph.node("Slice", &[&table, &zero?, &length, &axis?]);
        let x = graph.node("Add", &[&words, &positions]);
        let added = if is_siglip {
            None
        } else {
            let ahead = tokens::distances(graph, &length)?;
            let here = graph.constant("here", &Tensor::new(0i64, &Device::Cpu)?);
            let is_ahead = graph.node("Greater", &[&ahead, &here]);
            let seen = graph.node("Not", &[&is_ahead]);
            Some(tokens::zero_or(graph, &seen, f64::NEG_INFINITY)?)
        };
        let states = self.blocks.export(graph, x, added.as_ref())?;
        let text = if is_siglip {
            let last = graph.constant("last", &Tensor::new(most - 1, &Device::Cpu)?);
            graph.node_with("Gather", &[&states, &last], &[("axis", 1i64.into())])
        } else {
            let end = graph.integers(&[end])?;
            let is_end = graph.node("Equal", &[&ids, &end]);
            let is_end = graph.cast(&is_end, ElementType::Float);
            let place = graph.node_with("ArgMax", &[&is_end], &[("axis", 1i64.into())]);
            graph.node_with(
                "GatherND",
                &[&states, &place],
                &[("batch_dims", 1i64.into())],
            )
        };
        let normed = graph.part("text_model.final_layer_norm", &self.norm, &text)?;
        graph.part(self.config.projection(), &self.projection, &normed)
    }
}

impl Backbone for TextTower {
    fn embedding_dim(&self) -> usize {
        self.config.projection_dim
    }

    fn blocks(&self) -> Vec<Vec<String>> {
        let blocks = self
            .blocks
            .prefixes(vec!["text_model.embeddings".to_owned()]);
        by_prefix(&self.parameters(), &blocks)
    }

    fn classifier(&self) -> &[&str] {
        &[
            "vision_model",
            "visual_projection",
            "logit_scale",
            "logit_bias",
            "text_model.embeddings.position_ids",
        ]
    }

    fn set_activation_checkpoint(&self, on: bool) -> Result<()> {
        self.blocks.checkpoint.set(on);
        Ok(())
    }
}

trainable!(TextTower);
