//! Rectified linear unit with an upper bound.
//!
//! ```text
//! y = min(max(0, x), 6),   ∂y/∂x = 1 for 0 < x < 6, else 0
//! ```
//!
//! Howard et al. 2017, `MobileNet` (arXiv 1704.04861).

use candle_core::Tensor;
use dml_core::Result;
use dml_core::kernels::Real;

use super::{Formula, composite_clamp};
use crate::{Graph, GraphValue};

/// `min(max(0, x), 6)`, with gradient 0 at 0 and at 6. Any shape.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::{Layer, Relu6};
///
/// let x = Tensor::new(&[-1f32, 2., 7.], &Device::Cpu)?;
/// assert_eq!(Relu6.forward(&x)?.to_vec1::<f32>()?, [0., 2., 6.]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relu6;

impl Formula for Relu6 {
    const NAME: &'static str = "relu6";

    #[inline(always)]
    fn at<T: Real>(self, x: T) -> (T, T) {
        let six = T::from_f64(6.0);
        // No comparison holds for NaN, so NaN comes out as value and derivative.
        let inside = if x < six { T::ONE } else { x };
        if x <= T::ZERO {
            (T::ZERO, T::ZERO)
        } else if x >= six {
            (six, T::ZERO)
        } else {
            (x, inside)
        }
    }

    fn composite(self, x: &Tensor) -> Result<Tensor> {
        composite_clamp(x, 0.0, 6.0)
    }

    fn operators(self, graph: &mut Graph, x: &GraphValue) -> Result<GraphValue> {
        let (low, high) = (graph.number(0.0)?, graph.number(6.0)?);
        Ok(graph.node("Clip", &[x, &low, &high]))
    }
}
