//! How alike each row and the row most like it are.
//!
//! ```text
//! ℓᵢ = s(xᵢ, xⱼ),   j = argmax over j ≠ i of s(xᵢ, xⱼ)
//! ```
//!
//! Zhao, Xu, Cheng, "`RegularFace`: Deep Face Recognition via Exclusive Regularization", CVPR 2019: the weights of
//! classes move away from their nearest neighbours. Which row is the nearest is looked up block by block, so memory
//! is linear in the number of rows.

use std::sync::Arc;

use dml_core::autograd::whole;
use dml_core::candle_core::Tensor;
use dml_core::{Distance, Order, Reducer, Regularizer, Result, check};

use crate::nearest_other::to_nearest_other;
use crate::per_row;

/// Keeps rows apart ([formula](self)). Both rows of a pair get a gradient; a single row is compared with itself.
///
/// ```
/// use dml_core::{Regularizer, candle_core::{Device, Tensor}};
/// use dml_distances::CosineSimilarity;
/// use dml_reducers::MeanReducer;
/// use dml_regularizers::RegularFaceRegularizer;
///
/// let regularizer = RegularFaceRegularizer::new(CosineSimilarity::default(), MeanReducer)?;
/// // The first two have cosine 0.8, the third is nearest to the second with cosine 0.6.
/// let rows = Tensor::new(&[[1f32, 0.], [0.8, 0.6], [0., 1.]], &Device::Cpu)?;
/// assert!((regularizer.penalty(&rows)?.to_scalar::<f32>()? - 2.2 / 3.).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RegularFaceRegularizer {
    distance: Arc<dyn Distance>,
    reducer: Arc<dyn Reducer>,
}

impl RegularFaceRegularizer {
    /// The penalty by the similarity `distance`, reduced by `reducer`.
    ///
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) unless larger values of the distance mean closer.
    pub fn new(distance: impl Distance + 'static, reducer: impl Reducer + 'static) -> Result<Self> {
        let is_similarity = distance.order() == Order::LargerIsCloser;
        let reason = "needs a similarity, such as CosineSimilarity";
        check::supported(is_similarity, "RegularFaceRegularizer", reason)?;
        Ok(Self {
            distance: Arc::new(distance),
            reducer: Arc::new(reducer),
        })
    }
}

impl Regularizer for RegularFaceRegularizer {
    fn penalty(&self, rows: &Tensor) -> Result<Tensor> {
        let rows = &whole(rows)?;
        let values = to_nearest_other(&self.distance, rows)?; // [rows]
        per_row::reduce(&self.reducer, rows, values, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;
    use dml_core::candle_core::{Device, Var};
    use dml_distances::{
        CosineSimilarity, DotProductSimilarity, DotProductSimilarityConfig, LpDistance,
    };
    use dml_reducers::{MeanReducer, SumReducer};

    #[test]
    fn distances_are_refused() {
        let made = RegularFaceRegularizer::new(LpDistance::default(), MeanReducer);
        assert!(matches!(made, Err(Error::Unsupported { .. })));
    }

    #[test]
    fn both_rows_of_a_pair_have_a_gradient() -> Result<()> {
        let rows = Var::new(&[[1f64, 0.], [0., 1.]], &Device::Cpu)?;
        let dot = DotProductSimilarity::new(DotProductSimilarityConfig {
            normalize_embeddings: false,
            ..Default::default()
        })?;
        let regularizer = RegularFaceRegularizer::new(dot, SumReducer)?;
        let gradients = regularizer.penalty(&rows)?.backward()?;
        let gradient = gradients.get(rows.as_tensor()).unwrap().to_vec2::<f64>()?;
        // Each row is the other's nearest: x₀·x₁ counts twice.
        assert_eq!(gradient, [[0., 2.], [2., 0.]]);
        Ok(())
    }

    #[test]
    fn a_single_row_is_compared_with_itself() -> Result<()> {
        let rows = Tensor::new(&[[3f64, 4.]], &Device::Cpu)?;
        let cosine = Arc::new(CosineSimilarity::default());
        let regularizer = RegularFaceRegularizer::new(cosine, MeanReducer)?;
        assert_eq!(regularizer.penalty(&rows)?.to_scalar::<f64>()?, 1.0);
        Ok(())
    }
}
