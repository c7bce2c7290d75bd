//! How alike each row and the row most like it are.
//!
//! ```text
//! ℓᵢ = s(xᵢ, xⱼ),   j = argmax over j ≠ i of s(xᵢ, xⱼ)
//! ```
//!
//! Zhao, Xu, Cheng, "RegularFace: Deep Face Recognition via Exclusive Regularization", CVPR 2019: the weights of
//! classes move away from their nearest neighbours. Which row is the nearest is looked up block by block, so memory
//! is linear in the number of rows.

use std::sync::Arc;

use dml_core::candle_core::{DType, Device, Tensor};
use dml_core::{Distance, Error, Order, Reducer, Regularizer, Result};

use crate::per_row;

/// Rows whose similarities to all others are in memory at a time.
const BLOCK: usize = 256;

/// Keeps rows apart ([formula](self)). Both rows of a pair get a gradient; a single row is compared with itself.
///
/// ```
/// use std::sync::Arc;
/// use dml_core::{Regularizer, candle_core::{Device, Tensor}};
/// use dml_distances::CosineSimilarity;
/// use dml_reducers::MeanReducer;
/// use dml_regularizers::RegularFaceRegularizer;
///
/// let regularizer = RegularFaceRegularizer::new(Arc::new(CosineSimilarity::default()), Arc::new(MeanReducer))?;
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
    /// [`Error::Unsupported`] unless larger values of the distance mean closer.
    pub fn new(distance: Arc<dyn Distance>, reducer: Arc<dyn Reducer>) -> Result<Self> {
        if distance.order() != Order::LargerIsCloser {
            return Err(Error::Unsupported {
                component: "RegularFaceRegularizer",
                reason: "needs a similarity, such as CosineSimilarity",
            });
        }
        Ok(Self { distance, reducer })
    }

    /// The other row most like each row; the lower number where two are alike.
    fn nearest_others(&self, rows: &Tensor) -> Result<Vec<u32>> {
        let all = rows.detach();
        let count = all.dims()[0];
        let mut nearest = Vec::with_capacity(count);
        for start in (0..count).step_by(BLOCK) {
            let block = all.narrow(0, start, BLOCK.min(count - start))?;
            let similarities = self.distance.matrix(&block, Some(&all))?; // [block, rows]
            let similarities = similarities.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
            for (i, row) in similarities.to_vec2::<f64>()?.iter().enumerate() {
                let itself = start + i;
                let others = (0..count).filter(|&j| j != itself);
                // The first of the largest: `max_by` would take the last.
                let best = others.reduce(|best, j| if row[j] > row[best] { j } else { best });
                nearest.push(best.unwrap_or(itself) as u32);
            }
        }
        Ok(nearest)
    }
}

impl Regularizer for RegularFaceRegularizer {
    fn penalty(&self, rows: &Tensor) -> Result<Tensor> {
        if rows.rank() != 2 {
            return Err(Error::Shape {
                arg: "rows",
                expected: "[rows, dim]",
                got: rows.dims().to_vec(),
            });
        }
        let nearest = Tensor::new(self.nearest_others(rows)?, rows.device())?;
        let values = self
            .distance
            .pairs(rows, &rows.index_select(&nearest, 0)?)?; // [rows]
        per_row::reduce(&self.reducer, rows, values, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_distances::{CosineSimilarity, LpDistance};
    use dml_reducers::MeanReducer;

    #[test]
    fn distances_are_refused() {
        let made =
            RegularFaceRegularizer::new(Arc::new(LpDistance::default()), Arc::new(MeanReducer));
        assert!(matches!(made, Err(Error::Unsupported { .. })));
    }

    #[test]
    fn blocks_find_what_one_matrix_finds() -> Result<()> {
        let count = 2 * BLOCK + 37;
        let values: Vec<f32> = (0..count * 3)
            .map(|i| ((i * i) as f32 * 0.37).sin())
            .collect();
        let rows = Tensor::from_vec(values, (count, 3), &Device::Cpu)?;
        let cosine = Arc::new(CosineSimilarity::default());
        let matrix = cosine.matrix(&rows, None)?.to_vec2::<f32>()?;
        let regularizer = RegularFaceRegularizer::new(cosine, Arc::new(MeanReducer))?;
        for (i, j) in regularizer.nearest_others(&rows)?.into_iter().enumerate() {
            let best = (0..count)
                .filter(|j| *j != i)
                .map(|j| matrix[i][j])
                .fold(-2.0, f32::max);
            assert!(j as usize != i && matrix[i][j as usize] >= best - 1e-6);
        }
        Ok(())
    }
}
