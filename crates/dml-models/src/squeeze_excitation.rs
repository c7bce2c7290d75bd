//! Squeeze-and-excitation: channels weighed by what the whole image has in them.
//!
//! ```text
//! y[n,c,i,j] = x[n,c,i,j] · σ(W₂ δ(W₁ mean(x[n]) + b₁) + b₂)[c]
//! ```
//!
//! Hu et al. 2018 (arXiv 1709.01507).

use candle_core::Tensor;
use dml_core::Result;
use dml_nn::{Conv2d, Conv2dConfig, Layer, Parameters};

use crate::activation::Activation;
use crate::init::Init;

/// Squeeze-and-excitation ([formula](self)) with torchvision's names `fc1` and `fc2`.
#[derive(Debug)]
pub(crate) struct SqueezeExcitation {
    fc1: Conv2d,
    fc2: Conv2d,
    activation: Activation,
    scale_activation: Activation,
}

impl SqueezeExcitation {
    /// δ is `activation`, σ is `scale_activation`.
    pub(crate) fn new(
        channels: usize,
        squeeze_channels: usize,
        activation: Activation,
        scale_activation: Activation,
        init: &mut Init<'_>,
    ) -> Result<Self> {
        Ok(Self {
            fc1: init.conv(Conv2dConfig::new(channels, squeeze_channels, [1, 1]))?,
            fc2: init.conv(Conv2dConfig::new(squeeze_channels, channels, [1, 1]))?,
            activation,
            scale_activation,
        })
    }
}

impl Layer for SqueezeExcitation {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let (batch, channels, _, _) = input.dims4()?;
        let mean = input.flatten_from(2)?.mean(2)?;
        let squeezed = self
            .fc1
            .forward_t(&mean.reshape((batch, channels, 1, 1))?, train)?;
        let squeezed = self.activation.forward_t(&squeezed, train)?;
        let scale = self.fc2.forward_t(&squeezed, train)?;
        let scale = self.scale_activation.forward_t(&scale, train)?;
        Ok(input.broadcast_mul(&scale)?)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.extend("fc1", self.fc1.parameters());
        parameters.extend("fc2", self.fc2.parameters());
        parameters
    }
}
