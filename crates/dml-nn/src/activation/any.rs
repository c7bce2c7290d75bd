//! An activation that is chosen at run time.

use candle_core::Tensor;
use dml_core::Result;

use super::gelu::{ByTangent, Erf, Quick};
use super::{Formula, Gelu, GeluForm, Hardsigmoid, Hardswish, Relu6, Sigmoid, Silu, Tanh};
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

/// Something that is done with the formula of an activation.
pub(crate) trait WithFormula {
    /// Its result.
    type Output;

    /// Does it.
    fn call<F: Formula>(self, formula: F) -> Self::Output;
}

impl Activation {
    /// Does something with the formula.
    pub(crate) fn with_formula<W: WithFormula>(self, with: W) -> W::Output {
        match self {
            Self::Relu => with.call(Relu),
            Self::Relu6 => with.call(Relu6),
            Self::Silu => with.call(Silu),
            Self::Hardswish => with.call(Hardswish),
            Self::Hardsigmoid => with.call(Hardsigmoid),
            Self::Sigmoid => with.call(Sigmoid),
            Self::Tanh => with.call(Tanh),
            Self::Gelu(GeluForm::Erf) => with.call(Erf),
            Self::Gelu(GeluForm::Tanh) => with.call(ByTangent),
            Self::Gelu(GeluForm::Quick) => with.call(Quick),
        }
    }
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
