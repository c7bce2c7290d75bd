//! Hyperbolic tangent.
//!
//! ```text
//! y = tanh x,   ∂y/∂x = 1 − tanh² x
//! ```

use candle_core::Tensor;
use dml_core::Result;
use dml_core::kernels::Real;

use super::Formula;
use crate::{Graph, GraphValue};

/// Hyperbolic tangent. Any shape.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::{Layer, Tanh};
///
/// let y = Tanh.forward(&Tensor::new(&[0f64, 2f64.ln()], &Device::Cpu)?)?.to_vec1::<f64>()?;
/// assert!(y[0] == 0.0 && (y[1] - 0.6).abs() < 1e-15);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tanh;

impl Formula for Tanh {
    const NAME: &'static str = "tanh";

    #[inline(always)]
    fn at<T: Real>(self, x: T) -> (T, T) {
        x.quick_tanh()
    }

    fn composite(self, x: &Tensor) -> Result<Tensor> {
        Ok(x.tanh()?)
    }

    fn operators(self, graph: &mut Graph, x: &GraphValue) -> Result<GraphValue> {
        Ok(graph.node("Tanh", &[x]))
    }
}
