//! Squeeze-and-excitation.
//!
//! ```text
//! s = σ(W₂ δ(W₁ m + b₁) + b₂)      m: means of the channels
//! y[n,c,i,j] = s[n,c] · x[n,c,i,j]
//! ```
//!
//! Hu, Shen & Sun 2018, "Squeeze-and-Excitation Networks" (arXiv 1709.01507). δ is ReLU and σ the sigmoid in SE-ResNet, ReLU and
//! hard sigmoid in MobileNetV3, `SiLU` and sigmoid in EfficientNet.

use candle_core::{DType, Device, Tensor};
use dml_core::autograd::{has_kernel, host_node, with_slices};
use dml_core::kernels::elementwise::scale_rows;
use dml_core::{Result, RunningStatistics, SeedSequence, check, for_element};
use rand::RngCore;

use crate::kernels::channel_scale as kernel;
use crate::layer::collected_from;
use crate::{
    AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, Conv2d, Conv2dConfig, Graph, GraphValue, Layer,
    Parameters, pixels,
};

dml_core::config! {
    /// Configuration of [`SqueezeExcitation`].
    #[derive(Eq)]
    pub struct SqueezeExcitationConfig {
        /// Number of channels of the input, 1 to 4,294,967,295.
        pub input_channels: usize,
        /// Number of channels between the two convolutions, 1 to 4,294,967,295.
        pub squeeze_channels: usize;
    }
}

/// Squeeze-and-excitation ([formula](self)): `[N, C, H, W]` → `[N, C, H, W]`.
///
/// Parameters are `fc1.weight`, `fc1.bias`, `fc2.weight` and `fc2.bias` of two 1 × 1 convolutions, as in torchvision.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_nn::{Layer, Relu, SqueezeExcitation, SqueezeExcitationConfig};
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let config = SqueezeExcitationConfig::new(8, 2);
/// let layer = SqueezeExcitation::new(config, Relu, Relu, rng, DType::F32, &Device::Cpu)?;
/// let x = Tensor::ones((1, 8, 3, 3), DType::F32, &Device::Cpu)?;
/// assert_eq!(layer.forward(&x)?.dims(), [1, 8, 3, 3]);
/// assert_eq!(layer.parameters().get("fc1.weight").unwrap().dims(), [2, 8, 1, 1]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct SqueezeExcitation {
    pool: AdaptiveAvgPool2d,
    fc1: Conv2d,
    activation: Box<dyn Layer>,
    fc2: Conv2d,
    scale_activation: Box<dyn Layer>,
}

impl SqueezeExcitation {
    /// A layer with PyTorch's initialisation; `activation` follows the first convolution, `scale_activation` the second.
    ///
    /// # Errors
    /// As [`Conv2d::new`].
    pub fn new(
        config: SqueezeExcitationConfig,
        activation: impl Layer + 'static,
        scale_activation: impl Layer + 'static,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let SqueezeExcitationConfig {
            input_channels,
            squeeze_channels,
        } = config;
        let mut pointwise = |inputs: usize, outputs: usize| {
            Conv2d::new(
                Conv2dConfig::new(inputs, outputs, [1, 1]),
                rng,
                dtype,
                device,
            )
        };
        Self::from_convolutions(
            pointwise(input_channels, squeeze_channels)?,
            activation,
            pointwise(squeeze_channels, input_channels)?,
            scale_activation,
        )
    }

    /// A layer with given convolutions, from the channels of the input and back to them.
    ///
    /// # Errors
    /// None so far; the shapes are compared when the layer is applied.
    pub fn from_convolutions(
        fc1: Conv2d,
        activation: impl Layer + 'static,
        fc2: Conv2d,
        scale_activation: impl Layer + 'static,
    ) -> Result<Self> {
        Ok(Self {
            pool: AdaptiveAvgPool2d::new(AdaptiveAvgPool2dConfig::new([1, 1]))?,
            fc1,
            activation: Box::new(activation),
            fc2,
            scale_activation: Box::new(scale_activation),
        })
    }
}

/// `factors · x` for factors `[N, C, 1, 1]`.
fn scaled(x: &Tensor, factors: &Tensor) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let area = height * width;
    let fits = factors.dims() == [batch, channels, 1, 1];
    let expected = "[N, C, 1, 1], one factor per channel of the input";
    check::shape(fits, "scale", factors, expected)?;
    if !has_kernel(x) || x.dtype() != factors.dtype() {
        return Ok(x.broadcast_mul(factors)?);
    }
    for_element!(x, "input", |T| {
        let inputs = [x, factors];
        let value = with_slices(inputs, |[x, s]: [&[T]; 2]| scale_rows(x, s, area))?;
        host_node(
            "channel_scale",
            inputs,
            value,
            x.shape(),
            move |[x, s], _, g| {
                with_slices([x, s, g], |[x, s, g]: [&[T]; 3]| {
                    [
                        scale_rows(g, s, area),
                        kernel::factor_gradient(x, g, s.len()),
                    ]
                })
            },
        )
    })
}

impl Layer for SqueezeExcitation {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        pixels::image_batch(input)?;
        let mut s = self.pool.forward_t(input, train)?;
        for layer in [
            &self.fc1 as &dyn Layer,
            self.activation.as_ref(),
            &self.fc2,
            self.scale_activation.as_ref(),
        ] {
            s = layer.forward_t(&s, train)?;
        }
        scaled(input, &s)
    }

    collected_from!(self.parts());

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let means = self.pool.export(graph, input)?;
        let mut parts = self.parts().into_iter();
        let factors = parts.try_fold(means, |s, (name, layer)| graph.part(name, layer, &s))?;
        Ok(graph.node("Mul", &[input, &factors]))
    }
}

impl SqueezeExcitation {
    /// Names and layers in order.
    fn parts(&self) -> [(&'static str, &dyn Layer); 4] {
        [
            ("fc1", &self.fc1),
            ("activation", self.activation.as_ref()),
            ("fc2", &self.fc2),
            ("scale_activation", self.scale_activation.as_ref()),
        ]
    }
}

#[cfg(test)]
mod tests;
