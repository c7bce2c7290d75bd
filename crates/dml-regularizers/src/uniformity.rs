//! How far rows are from being spread evenly over the sphere.
//!
//! ```text
//! L = ln mean over i ≠ j of exp(−t d(xᵢ, xⱼ)),   d = ‖x̂ᵢ − x̂ⱼ‖²
//! ```
//!
//! Wang, Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
//! Hypersphere", ICML 2020, arXiv:2005.10242: the logarithm of the mean Gaussian potential, 0 where all rows are the
//! same and the smaller the more evenly they are spread. One number for all rows, so there is nothing to reduce;
//! memory is quadratic in the number of rows.

use std::sync::Arc;

use dml_core::autograd::whole;
use dml_core::candle_core::{DType, Tensor};
use dml_core::{Distance, Order, Regularizer, Result, TensorExt, check};

use crate::per_row;

dml_core::config! {
    /// Configuration of [`UniformityRegularizer`].
    pub struct UniformityRegularizerConfig {
        /// How fast the potential falls with the distance; in `[1e-30, 1e30]`. Default `2`, as in the paper.
        pub t: f64 = 2.0,
    }
}

/// Spreads rows evenly over the sphere ([formula](self)). A single row costs nothing.
///
/// ```
/// use dml_core::{Regularizer, candle_core::{Device, Tensor}};
/// use dml_distances::{LpDistance, LpDistanceConfig};
/// use dml_regularizers::{UniformityRegularizer, UniformityRegularizerConfig};
///
/// let squared = LpDistance::new(LpDistanceConfig { power: 2.0, ..Default::default() })?;
/// let regularizer = UniformityRegularizer::new(UniformityRegularizerConfig::default(), squared)?;
/// // Two opposite points: squared distance 4, and t is 2.
/// let rows = Tensor::new(&[[1f32, 0.], [-3., 0.]], &Device::Cpu)?;
/// assert_eq!(regularizer.penalty(&rows)?.to_scalar::<f32>()?, -8.0);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct UniformityRegularizer {
    t: f64,
    distance: Arc<dyn Distance>,
}

impl UniformityRegularizer {
    /// The penalty by `distance`, in the paper the squared Euclidean one of normalised rows.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) unless `t` is above 0, [`Error::Unsupported`](dml_core::Error::Unsupported) unless smaller values of the distance
    /// mean closer.
    pub fn new(
        config: UniformityRegularizerConfig,
        distance: impl Distance + 'static,
    ) -> Result<Self> {
        let is_distance = distance.order() == Order::SmallerIsCloser;
        let reason = "needs a distance, such as LpDistance with power 2";
        check::supported(is_distance, "UniformityRegularizer", reason)?;
        Ok(Self {
            t: check::positive("t", config.t)?,
            distance: Arc::new(distance),
        })
    }
}

impl Regularizer for UniformityRegularizer {
    fn penalty(&self, rows: &Tensor) -> Result<Tensor> {
        let rows = &whole(rows)?;
        if let Some(nan) = per_row::not_finite(rows)? {
            return Ok(nan);
        }
        let distances = self.distance.matrix(rows, None)?; // [rows, rows]
        let (count, _) = distances.dims2()?;
        if count < 2 {
            return rows.attached_zero();
        }
        let others = Tensor::eye(count, DType::U8, rows.device())?.eq(0u8)?;
        let exponents = (distances * -self.t)?;
        let of_rows = exponents.masked_logsumexp(Some(&others), false)?; // [rows]
        let of_all = of_rows.unsqueeze(0)?.masked_logsumexp(None, false)?; // [1]
        let pairs = count as f64 * (count as f64 - 1.0);
        Ok((of_all - pairs.ln())?.squeeze(0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;
    use dml_core::candle_core::{Device, Var};
    use dml_distances::{CosineSimilarity, LpDistance, LpDistanceConfig};

    fn uniformity(t: f64) -> Result<UniformityRegularizer> {
        let squared = LpDistance::new(LpDistanceConfig {
            power: 2.0,
            ..Default::default()
        })?;
        UniformityRegularizer::new(UniformityRegularizerConfig { t }, squared)
    }

    #[test]
    fn four_points_of_a_square_by_hand() -> Result<()> {
        // Each has two neighbours at squared distance 2 and one at 4.
        let rows = Tensor::new(&[[1f64, 0.], [0., 1.], [-1., 0.], [0., -1.]], &Device::Cpu)?;
        let penalty = uniformity(0.5)?.penalty(&rows)?.to_scalar::<f64>()?;
        let expected = ((2.0 * (-1f64).exp() + (-2f64).exp()) / 3.0).ln();
        assert!((penalty - expected).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn equal_rows_cost_nothing_and_have_no_gradient() -> Result<()> {
        let rows = Var::new(&[[1f64, 2.], [1., 2.], [1., 2.]], &Device::Cpu)?;
        let penalty = uniformity(2.0)?.penalty(&rows)?;
        assert!(penalty.to_scalar::<f64>()?.abs() < 1e-12);
        let gradients = penalty.backward()?;
        let gradient = gradients.get(rows.as_tensor()).unwrap().to_vec2::<f64>()?;
        assert!(gradient.concat().iter().all(|g| g.abs() < 1e-12));
        Ok(())
    }

    #[test]
    fn far_rows_do_not_underflow() -> Result<()> {
        let raw = Arc::new(LpDistance::unnormalized());
        let regularizer = UniformityRegularizer::new(UniformityRegularizerConfig::default(), raw)?;
        let rows = Tensor::new(&[[0f32], [1e6]], &Device::Cpu)?;
        assert_eq!(regularizer.penalty(&rows)?.to_scalar::<f32>()?, -2e6);
        Ok(())
    }

    #[test]
    fn the_gradient_agrees_with_central_differences() -> Result<()> {
        let values = [0.3f64, -0.8, 1.1, 0.4, -0.6, 0.2];
        let rows = |values: &[f64]| -> Result<Var> {
            let rows = Tensor::from_slice(values, (3, 2), &Device::Cpu)?;
            Ok(Var::from_tensor(&rows)?)
        };
        let regularizer = uniformity(2.0)?;
        let start = rows(&values)?;
        let gradients = regularizer.penalty(&start)?.backward()?;
        let slopes = gradients
            .get(start.as_tensor())
            .unwrap()
            .to_vec2::<f64>()?
            .concat();
        for (k, slope) in slopes.iter().enumerate() {
            let at = |step: f64| -> Result<f64> {
                let mut moved = values;
                moved[k] += step;
                let moved = rows(&moved)?;
                Ok(regularizer.penalty(&moved)?.to_scalar::<f64>()?)
            };
            assert!(((at(1e-6)? - at(-1e-6)?) / 2e-6 - slope).abs() < 1e-6);
        }
        Ok(())
    }

    #[test]
    fn arguments_are_checked_and_a_single_row_is_free() -> Result<()> {
        for t in [0.0, -1.0, f64::NAN] {
            assert!(matches!(
                uniformity(t),
                Err(Error::InvalidParameter { name: "t", .. })
            ));
        }
        let cosine = Arc::new(CosineSimilarity::default());
        let made = UniformityRegularizer::new(UniformityRegularizerConfig::default(), cosine);
        assert!(matches!(made, Err(Error::Unsupported { .. })));
        let single = Var::new(&[[1f64, 2.]], &Device::Cpu)?;
        let penalty = uniformity(2.0)?.penalty(&single)?;
        assert_eq!(penalty.to_scalar::<f64>()?, 0.0);
        penalty.backward()?;
        Ok(())
    }
}
