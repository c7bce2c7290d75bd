//! Logistic function.
//!
//! ```text
//! y = σ(x) = 1 / (1 + e^−x),   ∂y/∂x = σ(x) σ(−x)
//! ```

use candle_core::Tensor;
use dml_core::Result;
use dml_core::kernels::Real;
use dml_core::kernels::elementary::logistic;

use super::{Formula, composite_logistic};
use crate::{Graph, GraphValue};

/// `1 / (1 + e^−x)`. Any shape.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::{Layer, Sigmoid};
///
/// let y = Sigmoid.forward(&Tensor::new(&[0f64, 3f64.ln()], &Device::Cpu)?)?.to_vec1::<f64>()?;
/// assert!(y[0] == 0.5 && (y[1] - 0.75).abs() < 1e-15);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sigmoid;

impl Formula for Sigmoid {
    const NAME: &'static str = "sigmoid";

    #[inline(always)]
    fn at<T: Real>(self, x: T) -> (T, T) {
        logistic(x)
    }

    fn composite(self, x: &Tensor) -> Result<Tensor> {
        composite_logistic(x)
    }

    fn operators(self, graph: &mut Graph, x: &GraphValue) -> Result<GraphValue> {
        Ok(graph.node("Sigmoid", &[x]))
    }
}
