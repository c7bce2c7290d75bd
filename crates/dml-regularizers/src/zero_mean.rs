//! How far the mean of each row's coordinates is from 0.
//!
//! ```text
//! ℓᵢ = |Σₖ xᵢₖ|
//! ```
//!
//! Made for the signal-to-noise distance, which is only what its name says where embeddings have mean 0: Yuan, Deng,
//! Tang, Tang, Chen, "Signal-to-Noise Ratio: A Robust Distance Metric for Deep Metric Learning", 2019,
//! arXiv:1904.02616.

use std::sync::Arc;

use dml_core::autograd::whole;
use dml_core::candle_core::Tensor;
use dml_core::{Reducer, Regularizer, Result, TensorExt};

use crate::per_row;

/// Keeps the coordinates of each row centred ([formula](self)), with gradient 0 where they are.
///
/// ```
/// use dml_core::{Regularizer, candle_core::{Device, Tensor}};
/// use dml_reducers::MeanReducer;
/// use dml_regularizers::ZeroMeanRegularizer;
///
/// let rows = Tensor::new(&[[3f32, -1.], [-4., 1.], [2., -2.]], &Device::Cpu)?;
/// let penalty = ZeroMeanRegularizer::new(MeanReducer).penalty(&rows)?;
/// assert!((penalty.to_scalar::<f32>()? - 5. / 3.).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ZeroMeanRegularizer {
    reducer: Arc<dyn Reducer>,
}

impl ZeroMeanRegularizer {
    /// The penalty of the rows' sums, reduced by `reducer`.
    #[must_use]
    pub fn new(reducer: impl Reducer + 'static) -> Self {
        Self {
            reducer: Arc::new(reducer),
        }
    }
}

impl Regularizer for ZeroMeanRegularizer {
    fn penalty(&self, rows: &Tensor) -> Result<Tensor> {
        let rows = &whole(rows)?;
        let values = rows.sum(1)?.safe_abs()?; // [rows]
        per_row::reduce(&self.reducer, rows, values, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;
    use dml_core::candle_core::{Device, Var};
    use dml_reducers::SumReducer;

    #[test]
    fn a_centred_row_has_no_gradient() -> Result<()> {
        let rows = Var::new(&[[1f64, -1.], [2., 1.]], &Device::Cpu)?;
        let penalty = ZeroMeanRegularizer::new(SumReducer).penalty(&rows)?;
        assert_eq!(penalty.to_scalar::<f64>()?, 3.0);
        let gradients = penalty.backward()?;
        let gradient = gradients.get(rows.as_tensor()).map(Tensor::to_vec2::<f64>);
        assert_eq!(
            gradient.transpose()?,
            Some(vec![vec![0., 0.], vec![1., 1.]])
        );
        Ok(())
    }

    #[test]
    fn rows_are_a_matrix() -> Result<()> {
        let line = Tensor::new(&[1f64, 2.], &Device::Cpu)?;
        let penalty = ZeroMeanRegularizer::new(SumReducer).penalty(&line);
        assert!(matches!(
            penalty,
            Err(Error::Tensor(_) | Error::Shape { .. })
        ));
        Ok(())
    }
}
