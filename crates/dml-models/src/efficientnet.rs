//! `EfficientNet`: inverted residuals with squeeze-and-excitation, scaled in width and depth together.
//!
//! ```text
//! block(x) = [x +] P₂(SE(D(P₁(x))))      P₁: expansion, D: k × k convolution of each channel, SiLU throughout
//! ```
//!
//! Tan & Le 2019 (arXiv 1905.11946), with torchvision's names and numbers.

use candle_core::{DType, Device};
use dml_core::{ImageInput, Interpolation, Result, check};
use dml_nn::{Activation, ActivationCheckpoint, CheckpointSwitch, Sequential};
use rand::RngCore;

use crate::channels::{make_divisible, multiplier};
use crate::conv_norm::{ConvNorm, Norm, numbered};
use crate::init::Init;
use crate::pooled::{Pooled, pooled_backbone};
use crate::residual::{Residual, stochastic_depth};

/// Number that numbers of channels are multiples of.
const DIVISOR: usize = 8;
/// Most blocks of a network.
const MOST_BLOCKS: usize = 1000;

/// Expansion, window in pixels, stride of the first block, channels of input and output, and number of blocks of a stage.
pub(crate) type Stage = [usize; 6];

/// Stages of B0, from which the others are scaled.
pub(crate) const STAGES: [Stage; 7] = [
    [1, 3, 1, 32, 16, 1],
    [6, 3, 2, 16, 24, 2],
    [6, 5, 2, 24, 40, 2],
    [6, 3, 2, 40, 80, 3],
    [6, 5, 1, 80, 112, 3],
    [6, 5, 2, 112, 192, 4],
    [6, 3, 1, 192, 320, 1],
];

/// Configuration of [`EfficientNet`].
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EfficientNetConfig {
    /// Factor of the numbers of channels, in (0, 64]. Default 1.
    pub width_mult: f64,
    /// Factor of the numbers of blocks, in (0, 64]. Default 1.
    pub depth_mult: f64,
    /// Probability with which the deepest block is skipped in training, in [0, 1); that of the others grows with depth from
    /// 0. Default 0.2.
    pub stochastic_depth_prob: f64,
    /// Preprocessing. Default: 224 × 224 out of 256, bicubic, ImageNet's mean and standard deviation.
    pub image_input: ImageInput,
}

impl Default for EfficientNetConfig {
    fn default() -> Self {
        Self::b0()
    }
}

impl EfficientNetConfig {
    /// `EfficientNet-B0`: 1,280 numbers, 4.0 million parameters.
    #[must_use]
    pub fn b0() -> Self {
        let mut image_input = ImageInput::imagenet(224, 256);
        image_input.interpolation = Interpolation::Bicubic;
        Self {
            width_mult: 1.0,
            depth_mult: 1.0,
            stochastic_depth_prob: 0.2,
            image_input,
        }
    }
}

/// `EfficientNet` ([formula](self)) without its classifier: `[N, 3, H, W]` → `[N, 1280]` for B0.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_models::{EfficientNet, EfficientNetConfig};
/// use dml_nn::Layer;
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let network = EfficientNet::new(EfficientNetConfig::b0(), rng, DType::F32, &Device::Cpu)?;
/// let images = Tensor::zeros((1, 3, 64, 64), DType::F32, &Device::Cpu)?;
/// assert_eq!(network.forward(&images)?.dims(), [1, 1280]);
/// assert!(network.parameters().get("features.1.0.block.1.fc1.weight").is_some());
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct EfficientNet {
    network: Pooled,
    image_input: ImageInput,
}

impl EfficientNet {
    /// A network with torchvision's initialisation.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) or [`Error::Count`](dml_core::Error::Count) for a number
    /// out of its range, [`Error::Size`](dml_core::Error::Size) if the parameters don't fit into memory.
    pub fn new(
        config: EfficientNetConfig,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let init = &mut Init { rng, dtype, device };
        let width = multiplier("width_mult", config.width_mult)?;
        let depth = multiplier("depth_mult", config.depth_mult)?;
        let p = config.stochastic_depth_prob;
        check::probability_below_one("stochastic_depth_prob", p)?;
        config.image_input.check()?;
        let adjusted = |channels: usize| make_divisible(channels as f64 * width, DIVISOR);
        let repeats = STAGES.map(|[.., repeats]| (repeats as f64 * depth).ceil() as usize);
        let total = check::count("blocks", repeats.iter().sum(), MOST_BLOCKS)?;
        let mut channels = adjusted(STAGES[0][3]);
        let first = ConvNorm {
            kernel: 3,
            stride: 2,
            ..ConvNorm::pointwise(3, channels, Norm::DEFAULT)
        };
        let first = first.with(Activation::Silu).build(init)?;
        let mut features = numbered(Sequential::default(), first);
        let mut blocks = vec![vec!["features.0".to_owned()]];
        let checkpoint = CheckpointSwitch::default();
        let mut done = 0;
        for (stage, repeats) in STAGES.into_iter().zip(repeats) {
            let [expansion, kernel, stride, _, out_channels, _] = stage;
            let mut part = Sequential::default();
            let number = features.iter().len();
            for i in 0..repeats {
                let block = MbConv {
                    in_channels: channels,
                    out_channels: adjusted(out_channels),
                    expansion,
                    kernel,
                    stride: if i == 0 { stride } else { 1 },
                    stochastic_depth_prob: p * done as f64 / total as f64,
                };
                let built = block.build(init)?;
                part = numbered(part, ActivationCheckpoint::with_switch(built, &checkpoint));
                blocks.push(vec![format!("features.{number}.{i}")]);
                channels = block.out_channels;
                done += 1;
            }
            features = numbered(features, part);
        }
        let last = channels.saturating_mul(4);
        let head = ConvNorm::pointwise(channels, last, Norm::DEFAULT).with(Activation::Silu);
        blocks.push(vec![format!("features.{}", features.iter().len())]);
        features = numbered(features, head.build(init)?);
        Ok(Self {
            network: Pooled {
                layers: Sequential::default().with("features", features),
                embedding_dim: last,
                blocks,
                checkpoint,
            },
            image_input: config.image_input,
        })
    }
}

/// A block.
#[derive(Clone, Copy, Debug)]
struct MbConv {
    in_channels: usize,
    out_channels: usize,
    expansion: usize,
    kernel: usize,
    stride: usize,
    stochastic_depth_prob: f64,
}

impl MbConv {
    fn build(self, init: &mut Init<'_>) -> Result<Residual> {
        let (norm, activation) = (Norm::DEFAULT, Activation::Silu);
        let expanded = self.in_channels.saturating_mul(self.expansion);
        let expanded = make_divisible(expanded as f64, DIVISOR);
        let mut branch = Sequential::default();
        if expanded != self.in_channels {
            let expansion = ConvNorm::pointwise(self.in_channels, expanded, norm);
            branch = numbered(branch, expansion.with(activation).build(init)?);
        }
        let depthwise = ConvNorm::depthwise(expanded, self.kernel, self.stride, norm);
        branch = numbered(branch, depthwise.with(activation).build(init)?);
        let squeezed = (self.in_channels / 4).max(1);
        let outer = Activation::Sigmoid;
        let squeeze = init.squeeze_excitation([expanded, squeezed], activation, outer)?;
        branch = numbered(branch, squeeze);
        let projection = ConvNorm::pointwise(expanded, self.out_channels, norm);
        branch = numbered(branch, projection.build(init)?);
        let has_shortcut = self.stride == 1 && self.in_channels == self.out_channels;
        let shortcut = has_shortcut
            .then(|| stochastic_depth(self.stochastic_depth_prob, init.seeds()))
            .transpose()?;
        Ok(Residual::new(Some("block"), branch, shortcut))
    }
}

pooled_backbone!(EfficientNet, classifier: ["classifier"]);
