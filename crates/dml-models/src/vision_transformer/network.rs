//! The network from images to embeddings.

use candle_core::{DType, Device, Tensor};
use dml_core::{ImageInput, Result, SeedSequence, check};
use dml_nn::{Graph, GraphValue, Layer, LayerNorm, Linear, Parameters};
use rand::RngCore;

use super::STD;
use super::attention_pool::AttentionPool;
use super::block::{BlockSizes, Blocks};
use super::config::{TokenPooling, VisionTransformerConfig};
use super::family::VisionNames;
use super::patch_tokens::PatchTokens;
use crate::backbone::{Backbone, by_prefix, trainable};
use crate::init::Init;

/// A vision transformer ([formula](super)) without its classifier: `[N, 3, H, W]` → `[N, embedding_dim]`, for H and W that are
/// multiples of the patch size.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_models::{VisionTransformer, VisionTransformerConfig};
/// use dml_nn::Layer;
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let config = VisionTransformerConfig::vit_tiny_patch16_224();
/// let network = VisionTransformer::new(config, rng, DType::F32, &Device::Cpu)?;
/// // 2 × 3 patches; the positions of 14 × 14 patches are resized.
/// let images = Tensor::zeros((1, 3, 32, 48), DType::F32, &Device::Cpu)?;
/// assert_eq!(network.forward(&images)?.dims(), [1, 192]);
/// assert!(network.parameters().get("blocks.11.attn.qkv.weight").is_some());
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct VisionTransformer {
    names: &'static VisionNames,
    tokens: PatchTokens,
    first_norm: Option<LayerNorm>,
    blocks: Blocks,
    norm: LayerNorm,
    attention_pool: Option<AttentionPool>,
    projection: Option<Linear>,
    config: VisionTransformerConfig,
}

impl VisionTransformer {
    /// A network with timm's initialisation: weights and positions from N(0, 0.02²), class and register tokens from N(0,
    /// 10⁻¹²), biases of 0. (transformers initialises CLIP and `SigLIP` by the sizes of the layers.)
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) or [`Error::Count`](dml_core::Error::Count) for a number
    /// out of its range, [`Error::Unsupported`](dml_core::Error::Unsupported) for a part that the family lacks,
    /// [`Error::Size`](dml_core::Error::Size) if the parameters don't fit into memory.
    pub fn new(
        config: VisionTransformerConfig,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let init = &mut Init { rng, dtype, device };
        let names = config.family.names();
        config.image_input.check()?;
        let hidden = config.hidden_size;
        let p = check::probability_below_one("drop_path_rate", config.drop_path_rate)?;
        if let Some(value) = config.layer_scale {
            check::finite("layer_scale", value)?;
        }
        config.check_parts()?;
        let sizes = BlockSizes {
            hidden,
            heads: config.num_attention_heads,
            intermediate: config.intermediate_size,
            activation: config.hidden_act.into(),
            eps: config.layer_norm_eps,
            layer_scale: config.layer_scale,
            is_causal: false,
        };
        let blocks = (names.blocks, &names.block);
        let blocks = Blocks::new(blocks, config.num_hidden_layers, &sizes, p, init)?;
        let first_norm = names.first_norm;
        let first_norm = first_norm.map(|_| init.layer_norm(hidden, sizes.eps));
        Ok(Self {
            names,
            tokens: PatchTokens::new(&config, init)?,
            first_norm: first_norm.transpose()?,
            blocks,
            norm: init.layer_norm(hidden, sizes.eps)?,
            attention_pool: (config.pooling == TokenPooling::Attention)
                .then(|| AttentionPool::new(&sizes, init))
                .transpose()?,
            projection: config
                .projection_dim
                .map(|outputs| init.linear([outputs, hidden], false, STD))
                .transpose()?,
            config,
        })
    }

    /// Configuration of the network.
    #[must_use]
    pub fn config(&self) -> &VisionTransformerConfig {
        &self.config
    }

    /// The tokens behind the blocks, `[N, tokens, hidden]`, not normalised.
    fn states(&self, images: &Tensor, train: bool) -> Result<Tensor> {
        let mut x = self.tokens.forward(images, train)?;
        if let Some(norm) = &self.first_norm {
            x = norm.forward_t(&x, train)?;
        }
        self.blocks.forward(&x, train)
    }

    /// The mean of the patches' tokens.
    fn average(&self, states: &Tensor) -> Result<Tensor> {
        let prefix = self.tokens.prefix();
        Ok(states
            .narrow(1, prefix, states.dims()[1] - prefix)?
            .mean(1)?)
    }

    fn pooled(&self, states: &Tensor, train: bool) -> Result<Tensor> {
        let normed = |x: &Tensor| self.norm.forward_t(x, train);
        match self.config.pooling {
            TokenPooling::ClassToken => normed(&states.narrow(1, 0, 1)?.squeeze(1)?),
            TokenPooling::Average => self.average(&normed(states)?),
            TokenPooling::AverageThenNorm => normed(&self.average(states)?),
            TokenPooling::Attention => {
                let pool = self.attention_pool.as_ref();
                let pool = check::present(pool, "VisionTransformer", "pooling by attention")?;
                pool.forward_t(&normed(states)?, train)
            }
        }
    }
}

impl VisionTransformer {
    /// Name of the last normalisation.
    fn norm_name(&self) -> &'static str {
        match self.config.pooling {
            TokenPooling::AverageThenNorm => self.names.norm_of_average.unwrap_or(self.names.norm),
            _ => self.names.norm,
        }
    }

    /// As [`average`](Self::average), in a graph.
    fn export_average(&self, graph: &mut Graph, states: &GraphValue) -> Result<GraphValue> {
        let prefix = self.tokens.prefix() as i64;
        let [start, end, axis] = [prefix, i64::MAX, 1].map(|number| graph.integers(&[number]));
        let patches = graph.node("Slice", &[states, &start?, &end?, &axis?]);
        let attributes = [("axes", [1i64].into()), ("keepdims", 0i64.into())];
        Ok(graph.node_with("ReduceMean", &[&patches], &attributes))
    }

    /// As [`pooled`](Self::pooled), in a graph.
    fn export_pooled(&self, graph: &mut Graph, states: &GraphValue) -> Result<GraphValue> {
        let (name, norm) = (self.norm_name(), &self.norm);
        match self.config.pooling {
            TokenPooling::ClassToken => {
                let first = graph.constant("first", &Tensor::new(0i64, &Device::Cpu)?);
                let class = graph.node_with("Gather", &[states, &first], &[("axis", 1i64.into())]);
                graph.part(name, norm, &class)
            }
            TokenPooling::Average => {
                let normed = graph.part(name, norm, states)?;
                self.export_average(graph, &normed)
            }
            TokenPooling::AverageThenNorm => {
                let average = self.export_average(graph, states)?;
                graph.part(name, norm, &average)
            }
            TokenPooling::Attention => {
                let pool = self.attention_pool.as_ref();
                let pool = check::present(pool, "VisionTransformer", "pooling by attention")?;
                let normed = graph.part(name, norm, states)?;
                graph.part(self.names.attention_pool.unwrap_or_default(), pool, &normed)
            }
        }
    }
}

impl VisionTransformerConfig {
    /// Whether the family has the parts that are configured.
    fn check_parts(&self) -> Result<()> {
        let names = self.family.names();
        let component = "VisionTransformer";
        let registers = self.register_tokens == 0 || names.registers.is_some();
        check::supported(registers, component, "the family has no registers")?;
        let scales = self.layer_scale.is_none() || !names.block.layer_scales[0].is_empty();
        check::supported(scales, component, "the family has no layer_scale")?;
        let projection = self.projection_dim.is_none() || names.projection.is_some();
        check::supported(projection, component, "the family has no projection")?;
        let (pooling, reason) = match self.pooling {
            TokenPooling::ClassToken => (names.class_token, "the family has no class token"),
            TokenPooling::Average => (Some(names.norm), ""),
            TokenPooling::AverageThenNorm => (
                names.norm_of_average,
                "the family has no norm behind an average",
            ),
            TokenPooling::Attention => (
                names.attention_pool,
                "the family has no pooling by attention",
            ),
        };
        check::supported(pooling.is_some(), component, reason)
    }
}

impl Layer for VisionTransformer {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let pooled = self.pooled(&self.states(input, train)?, train)?;
        match &self.projection {
            None => Ok(pooled),
            Some(projection) => projection.forward_t(&pooled, train),
        }
    }

    fn parameters(&self) -> Parameters {
        let names = self.names;
        let mut parameters = Parameters::default();
        self.tokens.add_to(&mut parameters);
        if let (Some(name), Some(norm)) = (names.first_norm, &self.first_norm) {
            parameters.extend(name, norm.parameters());
        }
        self.blocks.add_to(&mut parameters);
        parameters.extend(self.norm_name(), self.norm.parameters());
        for (name, layer) in [
            (
                names.attention_pool,
                self.attention_pool.as_ref().map(|pool| pool as &dyn Layer),
            ),
            (
                names.projection,
                self.projection.as_ref().map(|linear| linear as &dyn Layer),
            ),
        ] {
            if let (Some(name), Some(layer)) = (name, layer) {
                parameters.extend(name, layer.parameters());
            }
        }
        parameters
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        self.blocks.seeds()
    }

    fn export(&self, graph: &mut Graph, images: &GraphValue) -> Result<GraphValue> {
        let mut x = self.tokens.export(graph, images)?;
        if let (Some(name), Some(norm)) = (self.names.first_norm, &self.first_norm) {
            x = graph.part(name, norm, &x)?;
        }
        let states = self.blocks.export(graph, x, None)?;
        let pooled = self.export_pooled(graph, &states)?;
        match (self.names.projection, &self.projection) {
            (Some(name), Some(projection)) => graph.part(name, projection, &pooled),
            _ => Ok(pooled),
        }
    }
}

impl Backbone for VisionTransformer {
    fn embedding_dim(&self) -> usize {
        self.config
            .projection_dim
            .unwrap_or(self.config.hidden_size)
    }

    fn image_input(&self) -> Option<ImageInput> {
        Some(self.config.image_input.clone())
    }

    fn blocks(&self) -> Vec<Vec<String>> {
        let names = self.names;
        let first = [Some(names.positions), Some(names.patches)];
        let others = [names.class_token, names.registers, names.first_norm];
        let first = first.into_iter().chain(others).flatten().map(str::to_owned);
        let blocks = self.blocks.prefixes(first.collect());
        by_prefix(&self.parameters(), &blocks)
    }

    fn classifier(&self) -> &[&str] {
        self.names.others
    }

    fn set_activation_checkpoint(&self, on: bool) -> Result<()> {
        self.blocks.checkpoint.set(on);
        Ok(())
    }
}

trainable!(VisionTransformer);
