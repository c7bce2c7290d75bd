//! `EfficientNet-Lite`: `EfficientNet` without squeeze-and-excitation, with ReLU6, for small devices.
//!
//! ```text
//! block(x) = [x +] P₂(D(P₁(x)))      P₁: expansion, D: k × k convolution of each channel, ReLU6 throughout
//! ```
//!
//! Tan & Le 2019 (arXiv 1905.11946) and the notes on Lite in the repository `tensorflow/tpu`, with the names of the PyPI
//! package `efficientnet_lite_pytorch`, whose weights are those of TensorFlow. Windows with a stride lie as TensorFlow lays
//! them (`SAME` for an input of 224 × 224): of an odd border, the smaller half is above and to the left.

use candle_core::{DType, Device, Tensor};
use dml_core::{ImageInput, Interpolation, Result, check};
use dml_nn::{
    Activation, ActivationCheckpoint, CheckpointSwitch, Conv2d, Conv2dConfig, Graph, GraphValue,
    Layer, Parameters, Sequential,
};
use rand::RngCore;

use crate::conv_norm::Norm;
use crate::efficientnet::STAGES;
use crate::init::Init;
use crate::pooled::{Pooled, pooled_backbone};
use crate::residual::{Residual, stochastic_depth};

/// Channels of the first and the last convolution.
const ENDS: [usize; 2] = [32, 1280];
/// TensorFlow's momentum of 0.99 and its ε.
const NORM: Norm = Norm {
    eps: 0.001,
    momentum: 0.01,
};

/// Configuration of [`EfficientNetLite`].
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EfficientNetLiteConfig {
    /// Probability with which the deepest block is skipped in training, in [0, 1); that of the others grows with depth from
    /// 0. Default 0.2.
    pub drop_connect_rate: f64,
    /// Preprocessing. Default: 224 × 224 out of 256, bicubic, mean 127/255 and standard deviation 128/255, as TensorFlow
    /// trained it. (On 150 photos of clothing, 70 % of the published network's classes are right with these, and 57 % with
    /// ImageNet's.)
    pub image_input: ImageInput,
}

impl Default for EfficientNetLiteConfig {
    fn default() -> Self {
        Self::lite0()
    }
}

impl EfficientNetLiteConfig {
    /// `EfficientNet-Lite0`: 1,280 numbers, 3.4 million parameters.
    #[must_use]
    pub fn lite0() -> Self {
        let (mean, std) = ([127.0 / 255.0; 3], [128.0 / 255.0; 3]);
        let mut image_input = ImageInput::new([224, 224], 256, mean, std);
        image_input.interpolation = Interpolation::Bicubic;
        Self {
            drop_connect_rate: 0.2,
            image_input,
        }
    }
}

/// `EfficientNet-Lite0` ([formula](self)) without its classifier: `[N, 3, H, W]` → `[N, 1280]`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_models::{EfficientNetLite, EfficientNetLiteConfig};
/// use dml_nn::Layer;
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let network = EfficientNetLite::new(EfficientNetLiteConfig::lite0(), rng, DType::F32, &Device::Cpu)?;
/// let images = Tensor::zeros((1, 3, 64, 64), DType::F32, &Device::Cpu)?;
/// assert_eq!(network.forward(&images)?.dims(), [1, 1280]);
/// assert!(network.parameters().get("_blocks.0._depthwise_conv.weight").is_some());
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct EfficientNetLite {
    network: Pooled,
    image_input: ImageInput,
}

impl EfficientNetLite {
    /// A network with PyTorch's default initialisation, as the package has it.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a number out of its range,
    /// [`Error::Size`](dml_core::Error::Size) if the parameters don't fit into memory.
    pub fn new(
        config: EfficientNetLiteConfig,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let init = &mut Init { rng, dtype, device };
        let rate = check::probability_below_one("drop_connect_rate", config.drop_connect_rate)?;
        config.image_input.check()?;
        let [mut channels, last] = ENDS;
        let stem = SameConv::new(3, channels, 3, 2, 1, init)?;
        let total: usize = STAGES.iter().map(|[.., repeats]| repeats).sum();
        let mut parts = Sequential::default();
        let mut blocks = vec![vec!["_conv_stem".to_owned(), "_bn0".to_owned()]];
        let checkpoint = CheckpointSwitch::default();
        let mut done = 0;
        for [expansion, kernel, stride, _, out_channels, repeats] in STAGES {
            for i in 0..repeats {
                let stride = if i == 0 { stride } else { 1 };
                let p = rate * done as f64 / total as f64;
                let sizes = [channels, out_channels, expansion, kernel, stride];
                let block = inverted_residual(sizes, p, init)?;
                let block = ActivationCheckpoint::with_switch(block, &checkpoint);
                parts = parts.with(done.to_string(), block);
                blocks.push(vec![format!("_blocks.{done}")]);
                channels = out_channels;
                done += 1;
            }
        }
        blocks.push(vec!["_conv_head".to_owned(), "_bn1".to_owned()]);
        let layers = Sequential::default()
            .with("_conv_stem", stem)
            .with("_bn0", init.batch_norm(NORM.config(ENDS[0]))?)
            .with("_swish0", Activation::Relu6)
            .with("_blocks", parts)
            .with("_conv_head", SameConv::new(channels, last, 1, 1, 1, init)?)
            .with("_bn1", init.batch_norm(NORM.config(last))?)
            .with("_swish1", Activation::Relu6);
        Ok(Self {
            network: Pooled {
                layers,
                embedding_dim: last,
                blocks,
                checkpoint,
            },
            image_input: config.image_input,
        })
    }
}

/// An inverted residual under the package's names.
fn inverted_residual(
    [in_channels, out_channels, expansion, kernel, stride]: [usize; 5],
    p: f64,
    init: &mut Init<'_>,
) -> Result<Residual> {
    let hidden = in_channels * expansion;
    let pointwise =
        |channels, outputs, init: &mut Init<'_>| SameConv::new(channels, outputs, 1, 1, 1, init);
    let mut branch = Sequential::default();
    if expansion != 1 {
        branch = branch
            .with("_expand_conv", pointwise(in_channels, hidden, init)?)
            .with("_bn0", init.batch_norm(NORM.config(hidden))?)
            .with("_swish0", Activation::Relu6);
    }
    let depthwise = SameConv::new(hidden, hidden, kernel, stride, hidden, init)?;
    branch = branch
        .with("_depthwise_conv", depthwise)
        .with("_bn1", init.batch_norm(NORM.config(hidden))?)
        .with("_swish1", Activation::Relu6)
        .with("_project_conv", pointwise(hidden, out_channels, init)?)
        .with("_bn2", init.batch_norm(NORM.config(out_channels))?);
    let has_shortcut = stride == 1 && in_channels == out_channels;
    let shortcut = has_shortcut
        .then(|| stochastic_depth(p, init.seeds()))
        .transpose()?;
    Ok(Residual::new(None, branch, shortcut))
}

/// A convolution without bias, with TensorFlow's borders.
#[derive(Debug)]
struct SameConv {
    conv: Conv2d,
    /// Borders of zeros before and behind that the convolution does not add itself.
    border: [usize; 2],
}

impl SameConv {
    fn new(
        in_channels: usize,
        out_channels: usize,
        kernel: usize,
        stride: usize,
        groups: usize,
        init: &mut Init<'_>,
    ) -> Result<Self> {
        // For image sizes that the stride divides, as all are that come from 224.
        let border = kernel - stride.min(kernel);
        let border = [border / 2, border - border / 2];
        let is_even = border[0] == border[1];
        let config = Conv2dConfig {
            stride: [stride; 2],
            padding: if is_even { border } else { [0; 2] },
            groups,
            bias: false,
            ..Conv2dConfig::new(in_channels, out_channels, [kernel; 2])
        };
        Ok(Self {
            conv: Conv2d::new(config, init.rng, init.dtype, init.device)?,
            border: if is_even { [0; 2] } else { border },
        })
    }
}

impl Layer for SameConv {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let [before, behind] = self.border;
        if before + behind == 0 {
            return self.conv.forward_t(input, train);
        }
        let rows = input.pad_with_zeros(2, before, behind)?;
        let padded = rows.pad_with_zeros(3, before, behind)?;
        self.conv.forward_t(&padded, train)
    }

    fn parameters(&self) -> Parameters {
        self.conv.parameters()
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let [before, behind] = self.border.map(|pixels| pixels as i64);
        if before + behind == 0 {
            return self.conv.export(graph, input);
        }
        let borders = graph.integers(&[0, 0, before, before, 0, 0, behind, behind])?;
        let padded = graph.node("Pad", &[input, &borders]);
        self.conv.export(graph, &padded)
    }
}

pooled_backbone!(EfficientNetLite, classifier: ["_fc"]);
