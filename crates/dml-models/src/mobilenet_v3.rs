//! `MobileNetV3`: inverted residuals with squeeze-and-excitation and piecewise linear activations.
//!
//! ```text
//! block(x) = [x +] P₂(SE(D(P₁(x))))      P₁: expansion, D: k × k convolution of each channel, SE where it is asked for
//! ```
//!
//! Howard et al. 2019 (arXiv 1905.02244), with torchvision's names and numbers. Embeddings are the averages before the two
//! linear layers of torchvision's classifier.

use candle_core::{DType, Device};
use dml_core::{ImageInput, Result, check};
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
/// torchvision's normalisation in this network.
const NORM: Norm = Norm {
    eps: 0.001,
    momentum: 0.01,
};

/// Activation of a block of [`MobileNetV3`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum MobileNetV3Activation {
    /// ReLU, the paper's `RE`.
    #[serde(rename = "RE")]
    Relu,
    /// Hardswish, the paper's `HS`.
    #[serde(rename = "HS")]
    Hardswish,
}

/// A block of [`MobileNetV3`], a row of the paper's tables 1 and 2.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MobileNetV3Block {
    /// Size of the window in pixels, an odd number.
    pub kernel: usize,
    /// Channels of the expansion.
    pub expanded_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Whether there is squeeze-and-excitation.
    pub use_se: bool,
    /// Activation.
    pub activation: MobileNetV3Activation,
    /// Stride, 1 or 2.
    pub stride: usize,
}

/// Configuration of [`MobileNetV3`].
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MobileNetV3Config {
    /// Factor of the numbers of channels, in (0, 64].
    pub width_mult: f64,
    /// Blocks in order of depth.
    pub blocks: Vec<MobileNetV3Block>,
    /// Preprocessing.
    pub image_input: ImageInput,
}

impl MobileNetV3Config {
    /// The small network: 576 numbers, 0.9 million parameters.
    #[must_use]
    pub fn small() -> Self {
        use MobileNetV3Activation::{Hardswish as HS, Relu as RE};
        Self::of([
            (3, 16, 16, true, RE, 2),
            (3, 72, 24, false, RE, 2),
            (3, 88, 24, false, RE, 1),
            (5, 96, 40, true, HS, 2),
            (5, 240, 40, true, HS, 1),
            (5, 240, 40, true, HS, 1),
            (5, 120, 48, true, HS, 1),
            (5, 144, 48, true, HS, 1),
            (5, 288, 96, true, HS, 2),
            (5, 576, 96, true, HS, 1),
            (5, 576, 96, true, HS, 1),
        ])
    }

    /// The large network: 960 numbers, 3.0 million parameters.
    #[must_use]
    pub fn large() -> Self {
        use MobileNetV3Activation::{Hardswish as HS, Relu as RE};
        Self::of([
            (3, 16, 16, false, RE, 1),
            (3, 64, 24, false, RE, 2),
            (3, 72, 24, false, RE, 1),
            (5, 72, 40, true, RE, 2),
            (5, 120, 40, true, RE, 1),
            (5, 120, 40, true, RE, 1),
            (3, 240, 80, false, HS, 2),
            (3, 200, 80, false, HS, 1),
            (3, 184, 80, false, HS, 1),
            (3, 184, 80, false, HS, 1),
            (3, 480, 112, true, HS, 1),
            (3, 672, 112, true, HS, 1),
            (5, 672, 160, true, HS, 2),
            (5, 960, 160, true, HS, 1),
            (5, 960, 160, true, HS, 1),
        ])
    }

    fn of<const N: usize>(
        rows: [(usize, usize, usize, bool, MobileNetV3Activation, usize); N],
    ) -> Self {
        let block = |(kernel, expanded_channels, out_channels, use_se, activation, stride)| {
            MobileNetV3Block {
                kernel,
                expanded_channels,
                out_channels,
                use_se,
                activation,
                stride,
            }
        };
        Self {
            width_mult: 1.0,
            blocks: rows.map(block).into(),
            image_input: ImageInput::imagenet(224, 256),
        }
    }
}

/// `MobileNetV3` ([formula](self)) without its classifier: `[N, 3, H, W]` → `[N, 576]` (small) or `[N, 960]` (large).
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_models::{MobileNetV3, MobileNetV3Config};
/// use dml_nn::Layer;
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let network = MobileNetV3::new(MobileNetV3Config::small(), rng, DType::F32, &Device::Cpu)?;
/// let images = Tensor::zeros((1, 3, 64, 64), DType::F32, &Device::Cpu)?;
/// assert_eq!(network.forward(&images)?.dims(), [1, 576]);
/// assert!(network.parameters().get("features.1.block.1.fc1.weight").is_some());
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct MobileNetV3 {
    network: Pooled,
    image_input: ImageInput,
}

impl MobileNetV3 {
    /// A network with torchvision's initialisation.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) or [`Error::Count`](dml_core::Error::Count) for a number
    /// out of its range, [`Error::Size`](dml_core::Error::Size) if the parameters don't fit into memory.
    pub fn new(
        config: MobileNetV3Config,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let init = &mut Init { rng, dtype, device };
        let width = multiplier("width_mult", config.width_mult)?;
        config.image_input.check()?;
        check::count("blocks", config.blocks.len(), MOST_BLOCKS)?;
        let adjusted = |channels: usize| make_divisible(channels as f64 * width, DIVISOR);
        let mut channels = adjusted(16);
        let first = ConvNorm {
            kernel: 3,
            stride: 2,
            ..ConvNorm::pointwise(3, channels, NORM)
        };
        let first = first.with(Activation::Hardswish).build(init)?;
        let checkpoint = CheckpointSwitch::default();
        let mut features = numbered(Sequential::default(), first);
        for block in &config.blocks {
            let block = MobileNetV3Block {
                expanded_channels: adjusted(block.expanded_channels),
                out_channels: adjusted(block.out_channels),
                ..block.clone()
            };
            let built = inverted_residual(channels, &block, init)?;
            features = numbered(
                features,
                ActivationCheckpoint::with_switch(built, &checkpoint),
            );
            channels = block.out_channels;
        }
        let last = channels.saturating_mul(6);
        let head = ConvNorm::pointwise(channels, last, NORM).with(Activation::Hardswish);
        features = numbered(features, head.build(init)?);
        let depth = features.iter().len();
        Ok(Self {
            network: Pooled {
                layers: Sequential::default().with("features", features),
                embedding_dim: last,
                blocks: (0..depth).map(|i| vec![format!("features.{i}")]).collect(),
                checkpoint,
            },
            image_input: config.image_input,
        })
    }
}

fn inverted_residual(
    in_channels: usize,
    block: &MobileNetV3Block,
    init: &mut Init<'_>,
) -> Result<Residual> {
    check::count("stride", block.stride, 2)?;
    let activation = match block.activation {
        MobileNetV3Activation::Relu => Activation::Relu,
        MobileNetV3Activation::Hardswish => Activation::Hardswish,
    };
    let expanded = block.expanded_channels;
    let mut branch = Sequential::default();
    if expanded != in_channels {
        let expansion = ConvNorm::pointwise(in_channels, expanded, NORM).with(activation);
        branch = numbered(branch, expansion.build(init)?);
    }
    let depthwise = ConvNorm::depthwise(expanded, block.kernel, block.stride, NORM);
    branch = numbered(branch, depthwise.with(activation).build(init)?);
    if block.use_se {
        let squeezed = make_divisible((expanded / 4) as f64, DIVISOR);
        let (inner, outer) = (Activation::Relu, Activation::Hardsigmoid);
        let squeeze = init.squeeze_excitation([expanded, squeezed], inner, outer)?;
        branch = numbered(branch, squeeze);
    }
    let projection = ConvNorm::pointwise(expanded, block.out_channels, NORM);
    branch = numbered(branch, projection.build(init)?);
    let has_shortcut = block.stride == 1 && in_channels == block.out_channels;
    let shortcut = has_shortcut
        .then(|| stochastic_depth(0.0, init.seeds()))
        .transpose()?;
    Ok(Residual::new(Some("block"), branch, shortcut))
}

pooled_backbone!(MobileNetV3, classifier: ["classifier"]);
