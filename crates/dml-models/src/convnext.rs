//! `ConvNeXt`: a convolutional network of transformer-like blocks.
//!
//! ```text
//! block(x) = x + s · γ · W₂ GELU(W₁ LN(D(x)))      D: 7 × 7 convolution of each channel, γ: a factor for each channel
//! ```
//!
//! Liu et al. 2022 (arXiv 2201.03545), with torchvision's names and numbers. `s` is stochastic depth.

use candle_core::{DType, Device, Tensor, Var};
use dml_core::{ImageInput, Result, SeedSequence, autograd, check, in_graph};
use dml_nn::{
    ActivationCheckpoint, CheckpointSwitch, Conv2d, Conv2dConfig, DropPath, Gelu, Graph,
    GraphValue, Layer, LayerNorm, LayerNorm2d, LayerNorm2dConfig, Linear, Parameters, Sequential,
};
use rand::RngCore;

use crate::backbone::{Backbone, by_prefix, trainable};
use crate::conv_norm::numbered;
use crate::init::Init;
use crate::pooled::averaged;
use crate::residual::stochastic_depth;

/// ε of every normalisation.
const EPS: f64 = 1e-6;
/// Standard deviation of initial weights.
const STD: f64 = 0.02;
/// Most blocks of a network.
const MOST_BLOCKS: usize = 1000;

/// Configuration of [`ConvNeXt`].
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConvNeXtConfig {
    /// Channels and number of blocks of each stage, at least one stage. Default: `ConvNeXt-T`.
    pub stages: Vec<[usize; 2]>,
    /// Probability with which the deepest block is skipped in training, in [0, 1); that of the others grows with depth from
    /// 0. Default 0.1.
    pub stochastic_depth_prob: f64,
    /// Initial value of γ, in `[-1e30, 1e30]`. Default 10⁻⁶.
    pub layer_scale: f64,
    /// Whether embeddings are normalised by the first layer of torchvision's classifier (`classifier.0`), a layer
    /// normalisation. Default false: the averages before the classifier.
    pub classifier_norm: bool,
    /// Preprocessing. Default: 224 × 224 out of 236, ImageNet's mean and standard deviation.
    pub image_input: ImageInput,
}

impl Default for ConvNeXtConfig {
    fn default() -> Self {
        Self::tiny()
    }
}

impl ConvNeXtConfig {
    /// `ConvNeXt-T`: 768 numbers, 27.8 million parameters.
    #[must_use]
    pub fn tiny() -> Self {
        Self {
            stages: vec![[96, 3], [192, 3], [384, 9], [768, 3]],
            stochastic_depth_prob: 0.1,
            layer_scale: 1e-6,
            classifier_norm: false,
            image_input: ImageInput::imagenet(224, 236),
        }
    }
}

/// `ConvNeXt` ([formula](self)) without its classifier: `[N, 3, H, W]` → `[N, 768]` for the tiny network.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_models::{ConvNeXt, ConvNeXtConfig};
/// use dml_nn::Layer;
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let network = ConvNeXt::new(ConvNeXtConfig::tiny(), rng, DType::F32, &Device::Cpu)?;
/// let images = Tensor::zeros((1, 3, 32, 32), DType::F32, &Device::Cpu)?;
/// assert_eq!(network.forward(&images)?.dims(), [1, 768]);
/// assert!(network.parameters().get("features.1.0.layer_scale").is_some());
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct ConvNeXt {
    features: Sequential,
    norm: Option<LayerNorm>,
    embedding_dim: usize,
    blocks: Vec<Vec<String>>,
    checkpoint: CheckpointSwitch,
    image_input: ImageInput,
}

impl ConvNeXt {
    /// A network with torchvision's initialisation.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) or [`Error::Count`](dml_core::Error::Count) for a number
    /// out of its range, [`Error::Size`](dml_core::Error::Size) if the parameters don't fit into memory.
    pub fn new(
        config: ConvNeXtConfig,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let init = &mut Init { rng, dtype, device };
        let p = config.stochastic_depth_prob;
        check::probability_below_one("stochastic_depth_prob", p)?;
        check::finite("layer_scale", config.layer_scale)?;
        config.image_input.check()?;
        check::count("stages", config.stages.len(), MOST_BLOCKS)?;
        let total = config.stages.iter().map(|[_, count]| *count);
        let total = check::count("blocks", total.fold(0, usize::saturating_add), MOST_BLOCKS)?;
        let mut channels = check::at_least_one("channels", config.stages[0][0])?;
        let stem = numbered(Sequential::default(), patches(3, channels, 4, init)?);
        let stem = numbered(stem, layer_norm2d(channels, init)?);
        let mut features = numbered(Sequential::default(), stem);
        let mut blocks = vec![vec!["features.0".to_owned()]];
        let checkpoint = CheckpointSwitch::default();
        let mut done = 0;
        for (stage, [width, count]) in config.stages.iter().copied().enumerate() {
            let mut lead = Vec::new();
            if stage > 0 {
                let norm = layer_norm2d(channels, init)?;
                let reduction = numbered(Sequential::default(), norm);
                let reduction = numbered(reduction, patches(channels, width, 2, init)?);
                lead.push(format!("features.{}", features.iter().len()));
                features = numbered(features, reduction);
                channels = width;
            }
            let number = features.iter().len();
            let mut part = Sequential::default();
            for i in 0..count {
                // A single block has depth 0.
                let depth = done as f64 / (total.max(2) - 1) as f64;
                let block = ConvNeXtBlock::new(channels, config.layer_scale, p * depth, init)?;
                part = numbered(part, ActivationCheckpoint::with_switch(block, &checkpoint));
                // A reduction of the resolution belongs to the block behind it.
                lead.push(format!("features.{number}.{i}"));
                blocks.push(std::mem::take(&mut lead));
                done += 1;
            }
            features = numbered(features, part);
        }
        let norm = config
            .classifier_norm
            .then(|| init.layer_norm(channels, EPS))
            .transpose()?;
        Ok(Self {
            features: Sequential::default().with("features", features),
            norm,
            embedding_dim: channels,
            blocks,
            checkpoint,
            image_input: config.image_input,
        })
    }
}

/// Layer normalisation of the channels of `[N, C, H, W]`.
fn layer_norm2d(channels: usize, init: &Init<'_>) -> Result<LayerNorm2d> {
    let config = LayerNorm2dConfig {
        eps: EPS,
        ..LayerNorm2dConfig::new(channels)
    };
    LayerNorm2d::new(config, init.dtype, init.device)
}

/// `[N, C, H, W]` → `[N, H, W, C]`.
fn channels_last(x: &Tensor) -> Result<Tensor> {
    Ok(x.permute((0, 2, 3, 1))?.contiguous()?)
}

/// `[N, H, W, C]` → `[N, C, H, W]`.
fn channels_first(x: &Tensor) -> Result<Tensor> {
    Ok(x.permute((0, 3, 1, 2))?.contiguous()?)
}

/// A convolution of neighbouring windows, each into one pixel.
fn patches(
    in_channels: usize,
    out_channels: usize,
    size: usize,
    init: &mut Init<'_>,
) -> Result<Conv2d> {
    let config = Conv2dConfig {
        stride: [size; 2],
        ..Conv2dConfig::new(in_channels, out_channels, [size; 2])
    };
    init.trunc_normal_conv(config, STD)
}

impl Layer for ConvNeXt {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let maps = self.features.forward_t(input, train)?;
        let means = maps.flatten_from(2)?.mean(2)?;
        match &self.norm {
            None => Ok(means),
            Some(norm) => norm.forward_t(&means, train),
        }
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = self.features.parameters();
        if let Some(norm) = &self.norm {
            parameters.extend("classifier.0", norm.parameters());
        }
        parameters
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        self.features.seeds()
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let maps = self.features.export(graph, input)?;
        let means = averaged(graph, &maps);
        match &self.norm {
            None => Ok(means),
            Some(norm) => graph.part("classifier.0", norm, &means),
        }
    }
}

impl Backbone for ConvNeXt {
    fn embedding_dim(&self) -> usize {
        self.embedding_dim
    }

    fn image_input(&self) -> Option<ImageInput> {
        Some(self.image_input.clone())
    }

    fn blocks(&self) -> Vec<Vec<String>> {
        by_prefix(&self.parameters(), &self.blocks)
    }

    fn classifier(&self) -> &[&str] {
        &["classifier"]
    }

    fn set_activation_checkpoint(&self, on: bool) -> Result<()> {
        self.checkpoint.set(on);
        Ok(())
    }
}

trainable!(ConvNeXt);

/// A block ([formula](self)).
#[derive(Debug)]
struct ConvNeXtBlock {
    depthwise: Conv2d,
    norm: LayerNorm,
    expansion: Linear,
    projection: Linear,
    layer_scale: Var,
    stochastic_depth: DropPath,
}

impl ConvNeXtBlock {
    fn new(channels: usize, layer_scale: f64, p: f64, init: &mut Init<'_>) -> Result<Self> {
        let hidden = channels.saturating_mul(4);
        let config = Conv2dConfig {
            padding: [3, 3],
            groups: channels,
            ..Conv2dConfig::new(channels, channels, [7, 7])
        };
        let mut linear = |inputs, outputs| {
            let weight = init.trunc_normal(&[outputs, inputs], STD)?;
            Linear::from_parameters(weight, Some(init.constant(&[outputs], 0.0)?))
        };
        Ok(Self {
            expansion: linear(channels, hidden)?,
            projection: linear(hidden, channels)?,
            depthwise: init.trunc_normal_conv(config, STD)?,
            norm: init.layer_norm(channels, EPS)?,
            layer_scale: init.constant(&[channels, 1, 1], layer_scale)?,
            stochastic_depth: stochastic_depth(p, init.seeds())?,
        })
    }
}

impl Layer for ConvNeXtBlock {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let x = channels_last(&self.depthwise.forward_t(input, train)?)?;
        let x = self.norm.forward_t(&x, train)?;
        let x = self.expansion.forward_t(&x, train)?;
        let x = Gelu::default().forward_t(&x, train)?;
        let x = channels_first(&self.projection.forward_t(&x, train)?)?;
        let x = x.broadcast_mul(&in_graph(&self.layer_scale))?;
        autograd::sum(&self.stochastic_depth.forward_t(&x, train)?, input)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.push("layer_scale", self.layer_scale.clone());
        for (name, layer) in [
            ("block.0", &self.depthwise as &dyn Layer),
            ("block.2", &self.norm as &dyn Layer),
            ("block.3", &self.expansion as &dyn Layer),
            ("block.5", &self.projection as &dyn Layer),
        ] {
            parameters.extend(name, layer.parameters());
        }
        parameters
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        self.stochastic_depth.seeds()
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let x = graph.part("block.0", &self.depthwise, input)?;
        let mut x = graph.node_with("Transpose", &[&x], &[("perm", [0i64, 2, 3, 1].into())]);
        for (name, layer) in [
            ("block.2", &self.norm as &dyn Layer),
            ("block.3", &self.expansion),
            ("block.4", &Gelu::default()),
            ("block.5", &self.projection),
        ] {
            x = graph.part(name, layer, &x)?;
        }
        let x = graph.node_with("Transpose", &[&x], &[("perm", [0i64, 3, 1, 2].into())]);
        let scale = graph.constant("layer_scale", &self.layer_scale);
        let x = graph.node("Mul", &[&x, &scale]);
        Ok(graph.node("Add", &[&x, input]))
    }
}
