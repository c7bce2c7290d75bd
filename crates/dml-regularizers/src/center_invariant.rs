//! How much the lengths of the rows differ.
//!
//! ```text
//! ℓᵢ = (sᵢ − s̄)² / 4,   sᵢ = ‖xᵢ‖ₚ²,   s̄ the mean of all sᵢ
//! ```
//!
//! Wu, Liu, Liu, Fu, "Deep Face Recognition with Center Invariant Loss", 2017: class weights of one length give rare
//! classes as much room as frequent ones.

use std::sync::Arc;

use dml_core::autograd::whole;
use dml_core::candle_core::Tensor;
use dml_core::{Distance, DistanceKind, Reducer, Regularizer, Result, check};

use crate::per_row;

/// Keeps rows of one length ([formula](self)).
///
/// ```
/// use dml_core::{Regularizer, candle_core::{Device, Tensor}};
/// use dml_distances::{LpDistance, LpDistanceConfig};
/// use dml_reducers::MeanReducer;
/// use dml_regularizers::CenterInvariantRegularizer;
///
/// let norm = LpDistance::new(LpDistanceConfig { normalize_embeddings: false, ..Default::default() })?;
/// let regularizer = CenterInvariantRegularizer::new(norm, MeanReducer)?;
/// // Squared lengths 1 and 9, so both are 4 away from the mean: 4² / 4.
/// let rows = Tensor::new(&[[1f32, 0.], [0., 3.]], &Device::Cpu)?;
/// assert_eq!(regularizer.penalty(&rows)?.to_scalar::<f32>()?, 4.0);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CenterInvariantRegularizer {
    distance: Arc<dyn Distance>,
    reducer: Arc<dyn Reducer>,
}

impl CenterInvariantRegularizer {
    /// The penalty by the norm of `distance`, reduced by `reducer`.
    ///
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) unless the distance is a p-norm of rows as they come, with power 1: normalised rows
    /// would all have one length.
    pub fn new(distance: impl Distance + 'static, reducer: impl Reducer + 'static) -> Result<Self> {
        let is_raw = matches!(
            distance.kind(),
            DistanceKind::Lp {
                power: 1.0,
                normalized: false,
                ..
            }
        );
        let reason = "needs LpDistance with power 1 and normalize_embeddings false";
        check::supported(is_raw, "CenterInvariantRegularizer", reason)?;
        Ok(Self {
            distance: Arc::new(distance),
            reducer: Arc::new(reducer),
        })
    }
}

impl Regularizer for CenterInvariantRegularizer {
    fn penalty(&self, rows: &Tensor) -> Result<Tensor> {
        let rows = &whole(rows)?;
        let squares = self.distance.norms(rows)?.sqr()?; // [rows]
        let deviation = squares.broadcast_sub(&squares.mean_all()?)?; // [rows]
        per_row::reduce(&self.reducer, rows, (deviation.sqr()? * 0.25)?, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;
    use dml_core::candle_core::Device;
    use dml_distances::{CosineSimilarity, LpDistance};
    use dml_reducers::MeanReducer;

    #[test]
    fn normalising_distances_are_refused() {
        let distances: [Arc<dyn Distance>; 2] = [
            Arc::new(LpDistance::default()),
            Arc::new(CosineSimilarity::default()),
        ];
        for distance in distances {
            let made = CenterInvariantRegularizer::new(distance, MeanReducer);
            assert!(matches!(made, Err(Error::Unsupported { .. })));
        }
    }

    #[test]
    fn rows_of_one_length_cost_nothing() -> Result<()> {
        let config = dml_distances::LpDistanceConfig {
            normalize_embeddings: false,
            ..Default::default()
        };
        let norm = Arc::new(LpDistance::new(config)?);
        let rows = Tensor::new(&[[3f64, 4.], [5., 0.]], &Device::Cpu)?;
        let penalty = CenterInvariantRegularizer::new(norm, MeanReducer)?.penalty(&rows)?;
        assert_eq!(penalty.to_scalar::<f64>()?, 0.0);
        Ok(())
    }
}
