//! Rectified linear unit.
//!
//! ```text
//! y = max(0, x),   ∂y/∂x = 1 for x > 0, else 0
//! ```

use candle_core::Tensor;
use dml_core::autograd::{self, has_kernel, with_slice, with_slices};
use dml_core::kernels::{Real, elementwise};
use dml_core::{Result, for_element};

use crate::activation::Formula;
use crate::{Graph, GraphValue, Layer, Role};

/// `max(0, x)`, with gradient 0 at 0 ([formula](self)). Any shape.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::{Layer, Relu};
///
/// let x = Tensor::new(&[-1f32, 0., 2.], &Device::Cpu)?;
/// assert_eq!(Relu.forward(&x)?.to_vec1::<f32>()?, [0., 0., 2.]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relu;

impl Layer for Relu {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        if !has_kernel(input) {
            return composite(input);
        }
        for_element!(input, "input", |T| {
            // Written so that NaN stays NaN.
            let value = with_slice(input, |x: &[T]| {
                elementwise::map(x, |x| if x <= T::ZERO { T::ZERO } else { x })
            })?;
            autograd::unary("relu", input, value, input.shape(), |_, y, gradient| {
                with_slices([y, gradient], |[y, g]: [&[T]; 2]| {
                    elementwise::zip_map(y, g, |y, g| if y > T::ZERO { g } else { T::ZERO })
                })
            })
        })
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        self.operators(graph, input)
    }

    fn role(&self) -> Role<'_> {
        Role::Relu
    }
}

impl Formula for Relu {
    const NAME: &'static str = "relu";

    #[inline(always)]
    fn at<T: Real>(self, x: T) -> (T, T) {
        // Written so that NaN stays NaN.
        let value = if x <= T::ZERO { T::ZERO } else { x };
        (value, if x > T::ZERO { T::ONE } else { T::ZERO })
    }

    fn composite(self, x: &Tensor) -> Result<Tensor> {
        composite(x)
    }

    fn operators(self, graph: &mut Graph, x: &GraphValue) -> Result<GraphValue> {
        Ok(graph.node("Relu", &[x]))
    }
}

/// The same, composed of Candle's operations, whose own `relu` has gradient 1 at 0.
pub(crate) fn composite(x: &Tensor) -> Result<Tensor> {
    let zeros = x.zeros_like()?;
    Ok(x.le(&zeros)?.where_cond(&zeros, x)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn the_gradient_at_zero_is_zero_and_both_forms_agree() -> Result<()> {
        let x = Var::new(&[-1f32, 0., 2., f32::NAN], &Device::Cpu)?;
        for y in [Relu.forward(&x)?, composite(&x)?] {
            let values = y.to_vec1::<f32>()?;
            assert_eq!(values[..3], [0., 0., 2.]);
            assert!(values[3].is_nan());
            let store = y.narrow(0, 0, 3)?.sum_all()?.backward()?;
            assert_eq!(store.get(&x).unwrap().to_vec1::<f32>()?, [0., 0., 1., 0.]);
        }
        Ok(())
    }
}
