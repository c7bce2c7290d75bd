//! Sigmoid linear unit, also known as swish.
//!
//! ```text
//! y = x σ(x),   ∂y/∂x = σ(x) + x σ'(x)       σ: logistic function
//! ```
//!
//! Elfwing et al. 2017, "Sigmoid-Weighted Linear Units" (arXiv 1702.03118).

use candle_core::Tensor;
use dml_core::Result;
use dml_core::kernels::Real;
use dml_core::kernels::elementary::logistic;

use super::{Formula, composite_logistic};
use crate::{Graph, GraphValue};

/// `x / (1 + e^−x)`, as in `EfficientNet`. Any shape.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::{Layer, Silu};
///
/// let y = Silu.forward(&Tensor::new(&[0f64, 1.], &Device::Cpu)?)?.to_vec1::<f64>()?;
/// assert!(y[0] == 0.0 && (y[1] - 0.731059).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Silu;

impl Formula for Silu {
    const NAME: &'static str = "silu";

    #[inline(always)]
    fn at<T: Real>(self, x: T) -> (T, T) {
        let (share, derivative) = logistic(x);
        (x * share, share + x * derivative)
    }

    fn composite(self, x: &Tensor) -> Result<Tensor> {
        Ok((x * composite_logistic(x)?)?)
    }

    fn operators(self, graph: &mut Graph, x: &GraphValue) -> Result<GraphValue> {
        let share = graph.node("Sigmoid", &[x]);
        Ok(graph.node("Mul", &[x, &share]))
    }
}
