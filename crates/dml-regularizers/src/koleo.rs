//! How close each row and the row nearest to it are, on a logarithmic scale.
//!
//! ```text
//! ℓᵢ = −ln max(minⱼ d(xᵢ, xⱼ), 1e-8),   j ≠ i
//! ```
//!
//! Sablayrolles, Douze, Schmid, Jégou, "Spreading vectors for similarity search", ICLR 2019, arXiv:1806.03198: the
//! differential entropy of the rows by Kozachenko and Leonenko. It spreads them evenly: two rows are pushed apart the
//! harder the closer they are. Which row is the nearest is looked up block by block, so memory is linear in the number
//! of rows; the choice has no gradient, both rows of a pair do.

use std::sync::Arc;

use dml_core::autograd::whole;
use dml_core::candle_core::Tensor;
use dml_core::{Distance, Order, Reducer, Regularizer, Result, TensorExt, check};

use crate::nearest_other::to_nearest_other;
use crate::per_row;

/// The least distance: rows that are the same have no direction to be pushed in.
const LEAST: f64 = 1e-8;

/// Spreads rows evenly ([formula](self)). Rows that are closer than `1e-8`, and a single row, have gradient 0.
///
/// ```
/// use dml_core::{Regularizer, candle_core::{Device, Tensor}};
/// use dml_distances::LpDistance;
/// use dml_reducers::MeanReducer;
/// use dml_regularizers::KoLeoRegularizer;
///
/// let regularizer = KoLeoRegularizer::new(LpDistance::unnormalized(), MeanReducer)?;
/// // Nearest neighbours at distance 1, 1 and 4.
/// let rows = Tensor::new(&[[0f32, 0.], [0., 1.], [0., 5.]], &Device::Cpu)?;
/// assert!((regularizer.penalty(&rows)?.to_scalar::<f32>()? + 4f32.ln() / 3.).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KoLeoRegularizer {
    distance: Arc<dyn Distance>,
    reducer: Arc<dyn Reducer>,
}

impl KoLeoRegularizer {
    /// The penalty by `distance`, in the paper the Euclidean one of normalised rows, reduced by `reducer`, in the paper
    /// the mean.
    ///
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) unless smaller values of the distance mean closer.
    pub fn new(distance: impl Distance + 'static, reducer: impl Reducer + 'static) -> Result<Self> {
        let is_distance = distance.order() == Order::SmallerIsCloser;
        let reason = "needs a distance, such as LpDistance: a similarity has no logarithm";
        check::supported(is_distance, "KoLeoRegularizer", reason)?;
        Ok(Self {
            distance: Arc::new(distance),
            reducer: Arc::new(reducer),
        })
    }
}

impl Regularizer for KoLeoRegularizer {
    fn penalty(&self, rows: &Tensor) -> Result<Tensor> {
        let rows = &whole(rows)?;
        if let Some(nan) = per_row::not_finite(rows)? {
            return Ok(nan);
        }
        if rows.dims()[0] < 2 {
            return rows.attached_zero();
        }
        let closest = to_nearest_other(&self.distance, rows)?; // [rows]
        let least = (closest.ones_like()? * LEAST)?;
        let closest = closest.le(&least)?.where_cond(&least, &closest)?;
        per_row::reduce(&self.reducer, rows, closest.log()?.neg()?, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;
    use dml_core::candle_core::{Device, Var};
    use dml_distances::{CosineSimilarity, LpDistance};
    use dml_reducers::{MeanReducer, SumReducer};

    fn raw() -> KoLeoRegularizer {
        KoLeoRegularizer::new(LpDistance::unnormalized(), SumReducer).unwrap()
    }

    fn gradient(regularizer: &KoLeoRegularizer, rows: &Var) -> Result<Vec<Vec<f64>>> {
        let gradients = regularizer.penalty(rows)?.backward()?;
        let gradient = gradients.get(rows.as_tensor()).unwrap();
        Ok(gradient.to_vec2()?)
    }

    #[test]
    fn close_pairs_are_pushed_apart_by_the_inverse_of_their_distance() -> Result<()> {
        let rows = Var::new(&[[0f64], [0.25]], &Device::Cpu)?;
        assert_eq!(raw().penalty(&rows)?.to_scalar::<f64>()?, 2.0 * 4f64.ln());
        // Each row is the other's neighbour: −2 ln d has gradient −2 / d.
        assert_eq!(gradient(&raw(), &rows)?, [[8.0], [-8.0]]);
        Ok(())
    }

    #[test]
    fn the_gradient_agrees_with_central_differences() -> Result<()> {
        let values = [0.3f64, -0.8, 1.1, 0.4, -0.6, 0.2, 0.9, -1.4];
        let rows = |values: &[f64]| -> Result<Var> {
            let rows = Tensor::from_slice(values, (4, 2), &Device::Cpu)?;
            Ok(Var::from_tensor(&rows)?)
        };
        let regularizer = KoLeoRegularizer::new(LpDistance::default(), MeanReducer)?;
        let slopes = gradient(&regularizer, &rows(&values)?)?.concat();
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
    fn equal_rows_and_a_single_one_have_a_finite_penalty_without_gradient() -> Result<()> {
        let same = Var::new(&[[1f64, 2.], [1., 2.]], &Device::Cpu)?;
        let penalty = raw().penalty(&same)?.to_scalar::<f64>()?;
        assert!((penalty - 2.0 * 1e8f64.ln()).abs() < 1e-9);
        assert_eq!(gradient(&raw(), &same)?, [[0.0; 2]; 2]);
        let single = Var::new(&[[1f64, 2.]], &Device::Cpu)?;
        assert_eq!(raw().penalty(&single)?.to_scalar::<f64>()?, 0.0);
        assert_eq!(gradient(&raw(), &single)?, [[0.0; 2]]);
        Ok(())
    }

    #[test]
    fn similarities_are_refused() {
        let made = KoLeoRegularizer::new(CosineSimilarity::default(), MeanReducer);
        assert!(matches!(made, Err(Error::Unsupported { .. })));
    }
}
