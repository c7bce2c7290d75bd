//! Sigmoid linear unit with a logistic function of three lines.
//!
//! ```text
//! y = x min(max(0, x + 3), 6) / 6,   ∂y/∂x = 0 for x <= −3, x/3 + 1/2 between, 1 for x >= 3
//! ```
//!
//! Howard et al. 2019, `MobileNetV3` (arXiv 1905.02244).

use candle_core::Tensor;
use dml_core::Result;
use dml_core::kernels::Real;

use super::{Formula, composite_clamp};
use crate::{Graph, GraphValue};

/// `x min(max(0, x + 3), 6) / 6`. Any shape.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::{Hardswish, Layer};
///
/// let x = Tensor::new(&[-4f32, 0., 1.5, 4.], &Device::Cpu)?;
/// assert_eq!(Hardswish.forward(&x)?.to_vec1::<f32>()?, [0., 0., 1.125, 4.]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hardswish;

impl Formula for Hardswish {
    const NAME: &'static str = "hardswish";

    #[inline(always)]
    fn at<T: Real>(self, x: T) -> (T, T) {
        let [third, half, three, six] = [1.0 / 3.0, 0.5, 3.0, 6.0].map(T::from_f64);
        let share = x + three;
        let share = if share < T::ZERO { T::ZERO } else { share };
        let share = if share > six { six } else { share };
        let inner = x * third + half;
        let slope = if x <= -three { T::ZERO } else { inner };
        let slope = if x >= three { T::ONE } else { slope };
        (x * share / six, slope)
    }

    fn composite(self, x: &Tensor) -> Result<Tensor> {
        Ok(((x * composite_clamp(&(x + 3.0)?, 0.0, 6.0)?)? / 6.0)?)
    }

    fn operators(self, graph: &mut Graph, x: &GraphValue) -> Result<GraphValue> {
        Ok(graph.node("HardSwish", &[x]))
    }
}
