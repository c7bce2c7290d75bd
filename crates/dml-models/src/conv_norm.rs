//! Convolution, batch normalisation and activation, torchvision's `Conv2dNormActivation`.

use dml_core::{Result, check};
use dml_nn::{Activation, BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Layer, Sequential};

use crate::init::Init;

/// A convolution without bias whose windows keep the size of the image, divided by the stride; its parts are named `0`, `1`
/// and `2`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConvNorm {
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) groups: usize,
    pub(crate) norm: Norm,
    pub(crate) activation: Option<Activation>,
}

/// ε and momentum of batch normalisation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm {
    pub(crate) eps: f64,
    pub(crate) momentum: f64,
}

impl Norm {
    /// PyTorch's defaults.
    pub(crate) const DEFAULT: Self = Self {
        eps: 1e-5,
        momentum: 0.1,
    };

    /// Configuration for a number of channels.
    pub(crate) fn config(self, channels: usize) -> BatchNormConfig {
        BatchNormConfig {
            eps: self.eps,
            momentum: self.momentum,
            ..BatchNormConfig::new(channels)
        }
    }
}

impl ConvNorm {
    /// A convolution of single pixels.
    pub(crate) fn pointwise(in_channels: usize, out_channels: usize, norm: Norm) -> Self {
        Self {
            in_channels,
            out_channels,
            kernel: 1,
            stride: 1,
            groups: 1,
            norm,
            activation: None,
        }
    }

    /// A convolution of each channel by itself.
    pub(crate) fn depthwise(channels: usize, kernel: usize, stride: usize, norm: Norm) -> Self {
        Self {
            in_channels: channels,
            out_channels: channels,
            kernel,
            stride,
            groups: channels,
            norm,
            activation: None,
        }
    }

    pub(crate) fn with(self, activation: Activation) -> Self {
        Self {
            activation: Some(activation),
            ..self
        }
    }

    pub(crate) fn build(self, init: &mut Init<'_>) -> Result<Sequential> {
        self.append_to(Sequential::default(), init)
    }

    /// The parts at the end of other layers, with the next numbers as their names.
    pub(crate) fn append_to(self, layers: Sequential, init: &mut Init<'_>) -> Result<Sequential> {
        let position = layers.iter().len();
        let names = [0, 1].map(|i| (position + i).to_string());
        let layers = self.append_named(layers, [&names[0], &names[1]], init)?;
        Ok(match self.activation {
            None => layers,
            Some(activation) => numbered(layers, activation),
        })
    }

    /// Convolution and normalisation at the end of other layers, with names; the activation is not added.
    pub(crate) fn append_named(
        self,
        layers: Sequential,
        [convolution, norm]: [&str; 2],
        init: &mut Init<'_>,
    ) -> Result<Sequential> {
        Ok(layers
            .with(convolution, self.convolution(init)?)
            .with(norm, self.normalization(init)?))
    }

    /// The convolution alone.
    pub(crate) fn convolution(self, init: &mut Init<'_>) -> Result<Conv2d> {
        let kernel = check::at_least_one("kernel_size", self.kernel)?;
        let config = Conv2dConfig {
            stride: [self.stride; 2],
            padding: [(kernel - 1) / 2; 2],
            groups: self.groups,
            bias: false,
            ..Conv2dConfig::new(self.in_channels, self.out_channels, [kernel; 2])
        };
        init.conv(config)
    }

    /// The normalisation alone.
    pub(crate) fn normalization(self, init: &Init<'_>) -> Result<BatchNorm> {
        init.batch_norm(self.norm.config(self.out_channels))
    }
}

/// The layers with one more, named by its position as in PyTorch's `Sequential`.
pub(crate) fn numbered(layers: Sequential, next: impl Layer + 'static) -> Sequential {
    let position = layers.iter().len();
    layers.with(position.to_string(), next)
}
