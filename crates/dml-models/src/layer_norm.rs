//! Layer normalisation over the last dimension or over the channels of images, composed of Candle's operations.
//!
//! ```text
//! y = γ (x − μ) / √(σ² + ε) + β      μ, σ² = mean and variance of the normalised dimension
//! ```
//!
//! Ba et al. 2016 (arXiv 1607.06450).

use candle_core::{D, DType, Tensor, Var};
use dml_core::{Error, Result};
use dml_nn::{Layer, Parameters};

use crate::init::Init;

/// Layer normalisation ([formula](self)) of `[…, channels]`. Half precision is computed in single.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    weight: Var,
    bias: Var,
    eps: f64,
}

impl LayerNorm {
    pub(crate) fn new(channels: usize, eps: f64, init: &Init<'_>) -> Result<Self> {
        Ok(Self {
            weight: init.constant(&[channels], 1.0)?,
            bias: init.constant(&[channels], 0.0)?,
            eps,
        })
    }
}

impl Layer for LayerNorm {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        if input.dims().last() != Some(&self.weight.elem_count()) {
            return Err(Error::Shape {
                arg: "input",
                expected: "[…, channels]",
                got: input.dims().to_vec(),
            });
        }
        let wide = match input.dtype() {
            DType::F16 | DType::BF16 => DType::F32,
            other => other,
        };
        let x = input.to_dtype(wide)?;
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let y = centred.broadcast_div(&(variance + self.eps)?.sqrt()?)?;
        let y = y.broadcast_mul(&self.weight.to_dtype(wide)?)?;
        let y = y.broadcast_add(&self.bias.to_dtype(wide)?)?;
        Ok(y.to_dtype(input.dtype())?)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.push("weight", self.weight.clone());
        parameters.push("bias", self.bias.clone());
        parameters
    }
}

/// Layer normalisation of the channels of `[N, C, H, W]`, torchvision's `LayerNorm2d`.
#[derive(Debug)]
pub(crate) struct LayerNorm2d(pub(crate) LayerNorm);

impl Layer for LayerNorm2d {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let last = channels_last(input)?;
        channels_first(&self.0.forward_t(&last, train)?)
    }

    fn parameters(&self) -> Parameters {
        self.0.parameters()
    }
}

/// `[N, C, H, W]` → `[N, H, W, C]`.
pub(crate) fn channels_last(x: &Tensor) -> Result<Tensor> {
    Ok(x.permute((0, 2, 3, 1))?.contiguous()?)
}

/// `[N, H, W, C]` → `[N, C, H, W]`.
pub(crate) fn channels_first(x: &Tensor) -> Result<Tensor> {
    Ok(x.permute((0, 3, 1, 2))?.contiguous()?)
}
