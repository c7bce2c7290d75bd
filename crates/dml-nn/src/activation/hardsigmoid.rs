//! Logistic function of three lines.
//!
//! ```text
//! y = min(max(0, x + 3), 6) / 6,   ∂y/∂x = 1/6 for −3 < x < 3, else 0
//! ```
//!
//! Howard et al. 2019, `MobileNetV3` (arXiv 1905.02244).

use candle_core::Tensor;
use dml_core::Result;
use dml_core::kernels::Real;

use super::{Formula, composite_clamp};
use crate::{Graph, GraphValue};

/// `min(max(0, x + 3), 6) / 6`, with gradient 0 at −3 and at 3. Any shape.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::{Hardsigmoid, Layer};
///
/// let x = Tensor::new(&[-4f32, 0., 1.5, 4.], &Device::Cpu)?;
/// assert_eq!(Hardsigmoid.forward(&x)?.to_vec1::<f32>()?, [0., 0.5, 0.75, 1.]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hardsigmoid;

impl Formula for Hardsigmoid {
    const NAME: &'static str = "hardsigmoid";

    #[inline(always)]
    fn at<T: Real>(self, x: T) -> (T, T) {
        let [three, six] = [3.0, 6.0].map(T::from_f64);
        // No comparison holds for NaN, so NaN comes out as value and derivative.
        let slope = if x < three { T::ONE / six } else { x };
        if x <= -three {
            (T::ZERO, T::ZERO)
        } else if x >= three {
            (T::ONE, T::ZERO)
        } else {
            ((x + three) / six, slope)
        }
    }

    fn composite(self, x: &Tensor) -> Result<Tensor> {
        Ok((composite_clamp(&(x + 3.0)?, 0.0, 6.0)? / 6.0)?)
    }

    fn operators(self, graph: &mut Graph, x: &GraphValue) -> Result<GraphValue> {
        let slope = [("alpha", (1.0 / 6.0).into()), ("beta", 0.5.into())];
        Ok(graph.node_with("HardSigmoid", &[x], &slope))
    }
}
