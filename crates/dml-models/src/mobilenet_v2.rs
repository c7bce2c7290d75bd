//! `MobileNetV2`: inverted residuals with linear bottlenecks.
//!
//! ```text
//! block(x) = [x +] P₂(D(P₁(x)))      P₁: expansion by t, D: 3 × 3 convolution of each channel, P₂: projection without activation
//! ```
//!
//! Sandler et al. 2018 (arXiv 1801.04381), with torchvision's names and numbers.

use candle_core::{DType, Device};
use dml_core::{ImageInput, Result, check};
use dml_nn::{Activation, ActivationCheckpoint, CheckpointSwitch, Sequential};
use rand::RngCore;

use crate::channels::{make_divisible, multiplier};
use crate::conv_norm::{ConvNorm, Norm, numbered};
use crate::init::Init;
use crate::pooled::{Pooled, pooled_backbone};
use crate::residual::{Residual, stochastic_depth};

/// Channels of the first convolution.
const FIRST: f64 = 32.0;
/// Channels of the last convolution.
const LAST: f64 = 1280.0;
/// Most blocks of a network.
const MOST_BLOCKS: usize = 1000;

/// Configuration of [`MobileNetV2`].
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MobileNetV2Config {
    /// Factor of the numbers of channels, in (0, 64]; the last convolution does not shrink. Default 1.
    pub width_mult: f64,
    /// Number that numbers of channels are multiples of, at least 1. Default 8.
    pub round_nearest: usize,
    /// Expansion, channels, number of blocks and stride of the first of them, for each stage. Default: the paper's.
    pub inverted_residual_setting: Vec<[usize; 4]>,
    /// Preprocessing. Default: 224 × 224 out of 256, ImageNet's mean and standard deviation.
    pub image_input: ImageInput,
}

impl Default for MobileNetV2Config {
    fn default() -> Self {
        Self {
            width_mult: 1.0,
            round_nearest: 8,
            inverted_residual_setting: vec![
                [1, 16, 1, 1],
                [6, 24, 2, 2],
                [6, 32, 3, 2],
                [6, 64, 4, 2],
                [6, 96, 3, 1],
                [6, 160, 3, 2],
                [6, 320, 1, 1],
            ],
            image_input: ImageInput::imagenet(224, 256),
        }
    }
}

/// `MobileNetV2` ([formula](self)) without its classifier: `[N, 3, H, W]` → `[N, 1280]`, 2.2 million parameters.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_models::{Backbone, MobileNetV2, MobileNetV2Config};
/// use dml_nn::Layer;
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let network = MobileNetV2::new(MobileNetV2Config::default(), rng, DType::F32, &Device::Cpu)?;
/// let images = Tensor::zeros((1, 3, 64, 64), DType::F32, &Device::Cpu)?;
/// assert_eq!(network.forward(&images)?.dims(), [1, 1280]);
/// assert!(network.parameters().get("features.1.conv.0.0.weight").is_some());
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct MobileNetV2 {
    network: Pooled,
    image_input: ImageInput,
}

impl MobileNetV2 {
    /// A network with torchvision's initialisation.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) or [`Error::Count`](dml_core::Error::Count) for a number
    /// out of its range, [`Error::Size`](dml_core::Error::Size) if the parameters don't fit into memory.
    pub fn new(
        config: MobileNetV2Config,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let init = &mut Init { rng, dtype, device };
        let width = multiplier("width_mult", config.width_mult)?;
        let round = check::at_least_one("round_nearest", config.round_nearest)?;
        config.image_input.check()?;
        let settings = &config.inverted_residual_setting;
        let blocks = settings.iter().map(|[_, _, repeats, _]| *repeats);
        check::count("blocks", blocks.fold(0, usize::saturating_add), MOST_BLOCKS)?;
        let mut channels = make_divisible(FIRST * width, round);
        let last = make_divisible(LAST * width.max(1.0), round);
        let first = ConvNorm {
            kernel: 3,
            stride: 2,
            ..ConvNorm::pointwise(3, channels, Norm::DEFAULT)
        };
        let first = first.with(Activation::Relu6).build(init)?;
        let checkpoint = CheckpointSwitch::default();
        let mut features = Sequential::default().with("0", first);
        for [expansion, out_channels, repeats, stride] in settings {
            let out_channels = make_divisible(*out_channels as f64 * width, round);
            for i in 0..*repeats {
                let stride = if i == 0 { *stride } else { 1 };
                let block = inverted_residual(channels, out_channels, stride, *expansion, init)?;
                features = numbered(
                    features,
                    ActivationCheckpoint::with_switch(block, &checkpoint),
                );
                channels = out_channels;
            }
        }
        let head = ConvNorm::pointwise(channels, last, Norm::DEFAULT);
        let head = head.with(Activation::Relu6).build(init)?;
        features = numbered(features, head);
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
    out_channels: usize,
    stride: usize,
    expansion: usize,
    init: &mut Init<'_>,
) -> Result<Residual> {
    check::count("stride", stride, 2)?;
    check::at_least_one("expansion", expansion)?;
    let hidden = in_channels.saturating_mul(expansion);
    let norm = Norm::DEFAULT;
    let mut layers = Vec::new();
    if expansion != 1 {
        layers.push(ConvNorm::pointwise(in_channels, hidden, norm).with(Activation::Relu6));
    }
    layers.push(ConvNorm::depthwise(hidden, 3, stride, norm).with(Activation::Relu6));
    let mut branch = Sequential::default();
    for layer in layers {
        branch = numbered(branch, layer.build(init)?);
    }
    // The projection stands directly in the branch, as a convolution and a normalisation.
    let projection = ConvNorm::pointwise(hidden, out_channels, norm);
    branch = projection.append_to(branch, init)?;
    let has_shortcut = stride == 1 && in_channels == out_channels;
    let shortcut = has_shortcut
        .then(|| stochastic_depth(0.0, init.seeds()))
        .transpose()?;
    Ok(Residual::new(Some("conv"), branch, shortcut))
}

pooled_backbone!(MobileNetV2, classifier: ["classifier"]);
