//! `ResNet`: residual networks of basic blocks and bottlenecks.
//!
//! ```text
//! block(x) = ReLU(F(x) + x),   with a convolution of single pixels on x where shapes differ
//! basic F: 3 × 3, 3 × 3        bottleneck F: 1 × 1, 3 × 3 (with the stride), 1 × 1 to four times the channels
//! ```
//!
//! He et al. 2016 (arXiv 1512.03385), with torchvision's names and numbers.

use candle_core::{DType, Device, Tensor};
use dml_core::{ImageInput, Result, RunningStatistics, SeedSequence, check};
use dml_nn::{
    Activation, ActivationCheckpoint, BatchNorm, CheckpointSwitch, Conv2d, Graph, GraphValue,
    Layer, MaxPool2d, MaxPool2dConfig, Parameters, Relu, Sequential,
};
use rand::RngCore;

use crate::conv_norm::{ConvNorm, Norm, numbered};
use crate::init::Init;
use crate::pooled::{Pooled, pooled_backbone};

/// Channels of the stages' blocks, before expansion.
const PLANES: [usize; 4] = [64, 128, 256, 512];
/// Most blocks of a stage.
const MOST_BLOCKS: usize = 1000;

/// Kind of the blocks of a [`ResNet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResNetBlock {
    /// Two convolutions of 3 × 3.
    Basic,
    /// Convolutions of 1 × 1, 3 × 3 and 1 × 1, the last with four times the channels.
    Bottleneck,
}

impl ResNetBlock {
    fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

/// Configuration of [`ResNet`].
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ResNetConfig {
    /// Kind of the blocks. Default basic.
    pub block: ResNetBlock,
    /// Number of blocks of each stage, 1 to 1,000. Default 2, 2, 2, 2 (ResNet-18).
    pub layers: [usize; 4],
    /// Preprocessing. Default: 224 × 224 out of 256, ImageNet's mean and standard deviation.
    pub image_input: ImageInput,
}

impl Default for ResNetConfig {
    fn default() -> Self {
        Self::new(ResNetBlock::Basic, [2, 2, 2, 2])
    }
}

impl ResNetConfig {
    fn new(block: ResNetBlock, layers: [usize; 4]) -> Self {
        Self {
            block,
            layers,
            image_input: ImageInput::imagenet(224, 256),
        }
    }

    /// ResNet-18: 512 numbers, 11.2 million parameters.
    #[must_use]
    pub fn resnet18() -> Self {
        Self::default()
    }

    /// ResNet-34: 512 numbers, 21.3 million parameters.
    #[must_use]
    pub fn resnet34() -> Self {
        Self::new(ResNetBlock::Basic, [3, 4, 6, 3])
    }

    /// ResNet-50: 2,048 numbers, 23.5 million parameters.
    #[must_use]
    pub fn resnet50() -> Self {
        Self::new(ResNetBlock::Bottleneck, [3, 4, 6, 3])
    }

    /// ResNet-101: 2,048 numbers, 42.5 million parameters.
    #[must_use]
    pub fn resnet101() -> Self {
        Self::new(ResNetBlock::Bottleneck, [3, 4, 23, 3])
    }
}

/// `ResNet` ([formula](self)) without its classifier: `[N, 3, H, W]` → `[N, 512]` with basic blocks, `[N, 2048]` with
/// bottlenecks.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_models::{ResNet, ResNetConfig};
/// use dml_nn::Layer;
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let network = ResNet::new(ResNetConfig::resnet18(), rng, DType::F32, &Device::Cpu)?;
/// let images = Tensor::zeros((1, 3, 32, 32), DType::F32, &Device::Cpu)?;
/// assert_eq!(network.forward(&images)?.dims(), [1, 512]);
/// assert!(network.parameters().get("layer2.0.downsample.0.weight").is_some());
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct ResNet {
    network: Pooled,
    image_input: ImageInput,
}

impl ResNet {
    /// A network with torchvision's initialisation.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) or [`Error::Count`](dml_core::Error::Count) for a number
    /// out of its range, [`Error::Size`](dml_core::Error::Size) if the parameters don't fit into memory.
    pub fn new(
        config: ResNetConfig,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let init = &mut Init { rng, dtype, device };
        config.image_input.check()?;
        let first = ConvNorm {
            kernel: 7,
            stride: 2,
            ..ConvNorm::pointwise(3, PLANES[0], Norm::DEFAULT)
        };
        let pooling = MaxPool2dConfig {
            stride: Some([2, 2]),
            padding: [1, 1],
            ..MaxPool2dConfig::new([3, 3])
        };
        let mut layers = first
            .append_named(Sequential::default(), ["conv1", "bn1"], init)?
            .with("relu", Relu)
            .with("maxpool", MaxPool2d::new(pooling)?);
        let mut blocks = vec![vec!["conv1".to_owned(), "bn1".to_owned()]];
        let checkpoint = CheckpointSwitch::default();
        let mut channels = PLANES[0];
        for (stage, (planes, count)) in PLANES.into_iter().zip(config.layers).enumerate() {
            check::count("layers", count, MOST_BLOCKS)?;
            let name = format!("layer{}", stage + 1);
            let mut part = Sequential::default();
            for i in 0..count {
                let stride = if i == 0 && stage > 0 { 2 } else { 1 };
                let block = ResidualBlock::new(config.block, channels, planes, stride, init)?;
                part = numbered(part, ActivationCheckpoint::with_switch(block, &checkpoint));
                blocks.push(vec![format!("{name}.{i}")]);
                channels = planes * config.block.expansion();
            }
            layers = layers.with(name, part);
        }
        Ok(Self {
            network: Pooled {
                layers,
                embedding_dim: channels,
                blocks,
                checkpoint,
            },
            image_input: config.image_input,
        })
    }
}

/// A basic block or a bottleneck.
#[derive(Debug)]
struct ResidualBlock {
    /// The branch without its last convolution and normalisation.
    branch: Sequential,
    /// The last convolution and normalisation, which are computed with the sum and the activation behind them.
    convolution: Conv2d,
    norm: BatchNorm,
    /// Names of both.
    last: [String; 2],
    downsample: Option<Sequential>,
}

impl ResidualBlock {
    fn new(
        kind: ResNetBlock,
        in_channels: usize,
        planes: usize,
        stride: usize,
        init: &mut Init<'_>,
    ) -> Result<Self> {
        let norm = Norm::DEFAULT;
        let out_channels = planes * kind.expansion();
        let window = |in_channels, stride| ConvNorm {
            kernel: 3,
            stride,
            ..ConvNorm::pointwise(in_channels, planes, norm)
        };
        let (convolutions, last) = match kind {
            ResNetBlock::Basic => (vec![window(in_channels, stride)], window(planes, 1)),
            ResNetBlock::Bottleneck => (
                vec![
                    ConvNorm::pointwise(in_channels, planes, norm),
                    window(planes, stride),
                ],
                ConvNorm::pointwise(planes, out_channels, norm),
            ),
        };
        let number = convolutions.len() + 1;
        let mut branch = Sequential::default();
        for (i, convolution) in (1..).zip(convolutions) {
            let names = [format!("conv{i}"), format!("bn{i}")];
            let names = names.each_ref().map(String::as_str);
            branch = convolution
                .append_named(branch, names, init)?
                .with(format!("relu{i}"), Relu);
        }
        let (convolution, norm) = (last.convolution(init)?, last.normalization(init)?);
        let downsample = ConvNorm {
            stride,
            ..ConvNorm::pointwise(in_channels, out_channels, Norm::DEFAULT)
        };
        let differs = stride != 1 || in_channels != out_channels;
        let downsample = differs.then(|| downsample.build(init)).transpose()?;
        Ok(Self {
            branch,
            convolution,
            norm,
            last: [format!("conv{number}"), format!("bn{number}")],
            downsample,
        })
    }
}

impl Layer for ResidualBlock {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let branch = self.branch.forward_t(input, train)?;
        let shortcut = match &self.downsample {
            None => input.clone(),
            Some(downsample) => downsample.forward_t(input, train)?,
        };
        let relu = Some(Activation::Relu);
        let norm = &self.norm;
        norm.forward_convolved(&self.convolution, &branch, Some(&shortcut), relu, train)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = self.branch.parameters();
        let [convolution, norm] = &self.last;
        parameters.extend(convolution, self.convolution.parameters());
        parameters.extend(norm, self.norm.parameters());
        if let Some(downsample) = &self.downsample {
            parameters.extend("downsample", downsample.parameters());
        }
        parameters
    }

    fn buffers(&self) -> Parameters {
        let mut buffers = self.branch.buffers();
        buffers.extend(&self.last[1], self.norm.buffers());
        if let Some(downsample) = &self.downsample {
            buffers.extend("downsample", downsample.buffers());
        }
        buffers
    }

    fn statistics(&self) -> Vec<RunningStatistics> {
        let mut statistics = self.branch.statistics();
        statistics.extend(self.norm.statistics());
        statistics.extend(self.downsample.iter().flat_map(Layer::statistics));
        statistics
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        self.branch.seeds()
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let branch = self.branch.export(graph, input)?;
        let branch = graph.part(&self.last[0], &self.convolution, &branch)?;
        let branch = graph.part(&self.last[1], &self.norm, &branch)?;
        let shortcut = match &self.downsample {
            None => input.clone(),
            Some(downsample) => graph.part("downsample", downsample, input)?,
        };
        let sum = graph.node("Add", &[&branch, &shortcut]);
        Relu.export(graph, &sum)
    }
}

pooled_backbone!(ResNet, classifier: ["fc"]);
