//! Activations: functions of single numbers, for tensors of any shape.
//!
//! ```text
//! y = f(x),   ∂x = g f'(x)
//! ```
//!
//! Each file is a formula with its derivative; what computes it is here. The fused form passes over memory
//! once each way and keeps nothing but the input between the two. Its exponentials, tangents and normal distributions are
//! right to a few units in the last place and are computed in vector registers. Half precision is computed in single.

mod any;
mod gelu;
mod hardsigmoid;
mod hardswish;
mod relu6;
mod sigmoid;
mod silu;
mod tanh;

pub(crate) use crate::Relu;
pub use any::Activation;
pub(crate) use any::with_formula;
pub(crate) use gelu::{ByTangent, Erf, Quick};
pub use gelu::{Gelu, GeluForm};
pub use hardsigmoid::Hardsigmoid;
pub use hardswish::Hardswish;
pub use relu6::Relu6;
pub use sigmoid::Sigmoid;
pub use silu::Silu;
pub use tanh::Tanh;

use candle_core::Tensor;
use dml_core::autograd::{self, Element, has_kernel, with_slice, with_slices};
use dml_core::kernels::{Real, elementwise};
use dml_core::{Result, for_element};

use crate::{Graph, GraphValue, wide};

/// A function of one number.
pub(crate) trait Formula: Copy + Send + Sync + 'static {
    /// Name of the node in the graph.
    const NAME: &'static str;

    /// Value and derivative at x.
    fn at<T: Real>(self, x: T) -> (T, T);

    /// The function composed of Candle's operations, for devices without kernels; `x` is f32 or f64.
    fn composite(self, x: &Tensor) -> Result<Tensor>;

    /// The function as operators of a graph.
    fn operators(self, graph: &mut Graph, x: &GraphValue) -> Result<GraphValue>;
}

/// No activation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity;

impl Formula for Identity {
    const NAME: &'static str = "identity";

    #[inline(always)]
    fn at<T: Real>(self, x: T) -> (T, T) {
        (x, T::ONE)
    }

    fn composite(self, x: &Tensor) -> Result<Tensor> {
        Ok(x.clone())
    }

    fn operators(self, _: &mut Graph, x: &GraphValue) -> Result<GraphValue> {
        Ok(x.clone())
    }
}

/// `formula` of every number.
pub(crate) fn apply(formula: impl Formula, input: &Tensor) -> Result<Tensor> {
    let x = input.to_dtype(wide(input.dtype()))?;
    let y = if has_kernel(&x) {
        for_element!(x, "input", |T| fused::<T, _>(formula, &x))?
    } else {
        formula.composite(&x)?
    };
    Ok(y.to_dtype(input.dtype())?)
}

fn fused<T: Element, F: Formula>(formula: F, x: &Tensor) -> Result<Tensor> {
    let value = with_slice(x, |x: &[T]| {
        elementwise::map(
            x,
            #[inline(always)]
            |x| formula.at(x).0,
        )
    })?;
    autograd::unary(F::NAME, x, value, x.shape(), move |x, _, gradient| {
        with_slices([x, gradient], |[x, g]: [&[T]; 2]| {
            elementwise::zip_map(
                x,
                g,
                #[inline(always)]
                |x, g| formula.at(x).1 * g,
            )
        })
    })
}

/// Makes layers of formulas.
macro_rules! layers {
    ($($name:ty),*) => {$(
        impl crate::Layer for $name {
            fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
                apply(*self, input)
            }
            fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
                self.operators(graph, input)
            }
        }
    )*};
}
layers!(Hardsigmoid, Hardswish, Relu6, Sigmoid, Silu, Tanh);

/// `1 / (1 + e^−x)` of Candle's operations.
fn composite_logistic(x: &Tensor) -> Result<Tensor> {
    // The hyperbolic tangent does not overflow.
    Ok((((x * 0.5)?.tanh()? + 1.0)? * 0.5)?)
}

/// `factor · x`.
fn times(factor: f64, graph: &mut Graph, x: &GraphValue) -> Result<GraphValue> {
    let factor = graph.number(factor)?;
    Ok(graph.node("Mul", &[x, &factor]))
}

/// x between two bounds, with gradient 0 at and beyond them. NaN stays NaN.
fn composite_clamp(x: &Tensor, low: f64, high: f64) -> Result<Tensor> {
    let constant = |value: f64| -> Result<Tensor> { Ok((x.zeros_like()? + value)?) };
    let (low, high) = (constant(low)?, constant(high)?);
    let x = x.le(&low)?.where_cond(&low, x)?;
    Ok(x.ge(&high)?.where_cond(&high, &x)?)
}

#[cfg(test)]
mod tests;
