//! An activation that is chosen at run time.

use candle_core::Tensor;
use dml_core::Result;

use super::{Gelu, GeluForm, Hardsigmoid, Hardswish, Relu6, Sigmoid, Silu, Tanh};
use crate::{Layer, Relu, Role};

/// One of the activations, as a configuration of a network names it.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::{Activation, GeluForm, Layer};
///
/// let x = Tensor::new(&[-1f32, 7.], &Device::Cpu)?;
/// assert_eq!(Activation::Relu6.forward(&x)?.to_vec1::<f32>()?, [0., 6.]);
/// assert_eq!(Activation::Gelu(GeluForm::Erf).forward(&x)?.to_vec1::<f32>()?[1], 7.0);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
#[non_exhaustive]
pub enum Activation {
    /// [`Relu`].
    Relu,
    /// [`Relu6`].
    Relu6,
    /// [`Silu`].
    Silu,
    /// [`Hardswish`].
    Hardswish,
    /// [`Hardsigmoid`].
    Hardsigmoid,
    /// [`Sigmoid`].
    Sigmoid,
    /// [`Tanh`].
    Tanh,
    /// [`Gelu`] of that form.
    Gelu(GeluForm),
}

impl Layer for Activation {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        match self {
            Self::Relu => Relu.forward_t(input, train),
            Self::Relu6 => Relu6.forward_t(input, train),
            Self::Silu => Silu.forward_t(input, train),
            Self::Hardswish => Hardswish.forward_t(input, train),
            Self::Hardsigmoid => Hardsigmoid.forward_t(input, train),
            Self::Sigmoid => Sigmoid.forward_t(input, train),
            Self::Tanh => Tanh.forward_t(input, train),
            Self::Gelu(form) => Gelu::new(*form).forward_t(input, train),
        }
    }

    fn role(&self) -> Role<'_> {
        match self {
            Self::Relu => Role::Relu,
            _ => Role::Other,
        }
    }
}
