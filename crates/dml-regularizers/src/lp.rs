//! The p-norm of each row.
//!
//! ```text
//! ℓᵢ = ‖xᵢ‖ₚ^power
//! ```

use std::sync::Arc;

use dml_core::autograd::whole;
use dml_core::candle_core::Tensor;
use dml_core::{Reducer, Regularizer, Result, TensorExt, check};

use crate::per_row;

dml_core::config! {
    /// Configuration of [`LpRegularizer`].
    pub struct LpRegularizerConfig {
        /// The exponent of the norm, in `[1, 1e30]` or infinite. Default `2`.
        #[cfg_attr(feature = "serde", serde(with = "dml_core::extended_real"))]
        pub p: f64 = 2.0,
        /// The power that the norm is raised to; in `[1e-30, 1e30]`. Default `1`.
        pub power: f64 = 1.0,
    }
}

/// Keeps rows short ([formula](self)). A row of zeros has gradient 0; tied maxima share it for p = ∞.
///
/// ```
/// use dml_core::{Regularizer, candle_core::{Device, Tensor}};
/// use dml_reducers::MeanReducer;
/// use dml_regularizers::{LpRegularizer, LpRegularizerConfig};
///
/// let rows = Tensor::new(&[[3f32, 4.], [0., 1.]], &Device::Cpu)?;
/// let regularizer = LpRegularizer::new(LpRegularizerConfig::default(), MeanReducer)?;
/// assert_eq!(regularizer.penalty(&rows)?.to_scalar::<f32>()?, 3.0);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LpRegularizer {
    p: f64,
    power: f64,
    reducer: Arc<dyn Reducer>,
}

impl LpRegularizer {
    /// The penalty of the rows' norms, reduced by `reducer`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `p` is below 1 or `power` is not above 0.
    pub fn new(config: LpRegularizerConfig, reducer: impl Reducer + 'static) -> Result<Self> {
        Ok(Self {
            p: check::norm_exponent("p", config.p)?,
            power: check::positive("power", config.power)?,
            reducer: Arc::new(reducer),
        })
    }
}

impl Regularizer for LpRegularizer {
    fn penalty(&self, rows: &Tensor) -> Result<Tensor> {
        let rows = &whole(rows)?;
        let values = rows.row_norms(self.p)?.safe_power(self.power)?; // [rows]
        per_row::reduce(&self.reducer, rows, values, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::candle_core::Device;
    use dml_reducers::SumReducer;

    #[test]
    fn norms_are_raised_to_the_power() -> Result<()> {
        let rows = Tensor::new(&[[3f64, -4.], [1., 0.]], &Device::Cpu)?;
        for (p, power, want) in [(1.0, 1.0, 8.0), (2.0, 2.0, 26.0), (f64::INFINITY, 1.0, 5.0)] {
            let config = LpRegularizerConfig { p, power };
            let penalty = LpRegularizer::new(config, SumReducer)?.penalty(&rows)?;
            assert!((penalty.to_scalar::<f64>()? - want).abs() < 1e-12);
        }
        Ok(())
    }

    #[test]
    fn arguments_are_checked() {
        for (p, power) in [(0.5, 1.0), (2.0, 0.0), (f64::NAN, 1.0)] {
            let config = LpRegularizerConfig { p, power };
            assert!(LpRegularizer::new(config, SumReducer).is_err());
        }
    }
}
