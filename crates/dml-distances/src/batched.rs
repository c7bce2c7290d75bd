//! Any distance, a block of queries at a time.
//!
//! For matrices larger than memory: `[Q, R]` distances never exist at once, only `[batch_size, R]` of them.

use std::ops::Range;
use std::sync::Arc;

use dml_core::candle_core::{Tensor, Var};
use dml_core::{Distance, DistanceKind, Order, Result, check};

dml_core::config! {
    /// Configuration of [`BatchedDistance`].
    pub struct BatchedDistanceConfig {
        /// How many queries a block has, 1 to 4,294,967,295. Default `32`.
        pub batch_size: usize = 32,
    }
}

/// Hands the distances of a block of queries at a time to a function ([why](self)).
///
/// As a [`Distance`] it is the distance it wraps, but its matrix is put together from blocks: what the formula needs
/// beside the result stays as small as a block.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_distances::{BatchedDistance, BatchedDistanceConfig, LpDistance};
///
/// let batched = BatchedDistance::new(BatchedDistanceConfig { batch_size: 2 }, LpDistance::default())?;
/// let x = Tensor::new(&[[1f32, 0.], [0., 1.], [0., 3.]], &Device::Cpu)?;
/// let mut nearest = Vec::new();
/// batched.for_each_block(&x, None, |block, _| {
///     nearest.extend(block.min(1)?.to_vec1::<f32>()?);
///     Ok(())
/// })?;
/// assert_eq!(nearest, [0., 0., 0.]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BatchedDistance {
    distance: Arc<dyn Distance>,
    batch_size: usize,
}

impl BatchedDistance {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `batch_size` is 0.
    pub fn new(config: BatchedDistanceConfig, distance: impl Distance + 'static) -> Result<Self> {
        Ok(Self {
            distance: Arc::new(distance),
            batch_size: check::at_least_one("batch_size", config.batch_size)?,
        })
    }

    /// Calls `visit` with the distances `[rows, R]` of each block of queries, in order, and with the queries' numbers.
    ///
    /// Every range is `batch_size` long, so the last one may reach beyond the last query; the block tells how many
    /// rows there are.
    ///
    /// # Errors
    /// As the distance and `visit`.
    pub fn for_each_block(
        &self,
        query: &Tensor,
        reference: Option<&Tensor>,
        mut visit: impl FnMut(&Tensor, Range<usize>) -> Result<()>,
    ) -> Result<()> {
        let reference = reference.unwrap_or(query);
        let queries = query.dims().first().copied().unwrap_or(0);
        for start in (0..queries).step_by(self.batch_size) {
            let rows = self.batch_size.min(queries - start);
            let block = query.narrow(0, start, rows)?;
            let distances = self.distance.matrix(&block, Some(reference))?;
            visit(&distances, start..start + self.batch_size)?;
        }
        Ok(())
    }
}

impl Distance for BatchedDistance {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
        if query.elem_count() == 0 || reference.is_some_and(|r| r.elem_count() == 0) {
            return self.distance.matrix(query, reference);
        }
        let mut blocks = Vec::new();
        self.for_each_block(query, reference, |block, _| {
            blocks.push(block.clone());
            Ok(())
        })?;
        Ok(Tensor::cat(&blocks, 0)?)
    }

    fn order(&self) -> Order {
        self.distance.order()
    }

    fn kind(&self) -> DistanceKind {
        self.distance.kind()
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        self.distance.parameters()
    }

    fn prepare(&self, embeddings: &Tensor) -> Result<Tensor> {
        self.distance.prepare(embeddings)
    }

    fn norms(&self, embeddings: &Tensor) -> Result<Tensor> {
        self.distance.norms(embeddings)
    }

    fn pairs(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
        self.distance.pairs(query, reference)
    }

    fn raw_pairs(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
        self.distance.raw_pairs(query, reference)
    }

    fn gap(&self, near: &Tensor, far: &Tensor) -> Result<Tensor> {
        self.distance.gap(near, far)
    }

    fn closer(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.distance.closer(a, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{flat, scattered};
    use crate::{CosineSimilarity, LpDistance, MahalanobisDistance, MahalanobisDistanceConfig};
    use dml_core::Error;
    use dml_core::candle_core::{DType, Device};

    fn batched(batch_size: usize, distance: impl Distance + 'static) -> BatchedDistance {
        BatchedDistance::new(BatchedDistanceConfig { batch_size }, distance).unwrap()
    }

    #[test]
    fn blocks_come_in_order_and_the_last_may_be_short() -> Result<()> {
        let (x, r) = (scattered(0.3, 7, 4), scattered(1.1, 3, 4));
        let mut seen = Vec::new();
        batched(3, LpDistance::default()).for_each_block(&x, Some(&r), |block, span| {
            seen.push((block.dims2()?, span));
            Ok(())
        })?;
        assert_eq!(seen, [((3, 3), 0..3), ((3, 3), 3..6), ((1, 3), 6..9)]);
        Ok(())
    }

    #[test]
    fn what_is_learned_inside_is_told() -> Result<()> {
        let config = MahalanobisDistanceConfig::new(3);
        let inner = MahalanobisDistance::new(config, DType::F32, &Device::Cpu)?;
        let factor = inner.factor().clone();
        let parameters = batched(2, inner).parameters();
        assert_eq!(parameters.len(), 1);
        assert_eq!(parameters[0].0, "factor");
        assert_eq!(parameters[0].1.id(), factor.id());
        Ok(())
    }

    #[test]
    fn blocks_are_the_matrix_and_so_are_their_gradients() -> Result<()> {
        let x = Var::from_tensor(&scattered(0.3, 7, 4))?;
        for size in [1, 3, 7, 50] {
            for (whole, blocks) in [
                (
                    Arc::new(LpDistance::default()) as Arc<dyn Distance>,
                    batched(size, LpDistance::default()),
                ),
                (
                    Arc::new(CosineSimilarity::default()),
                    batched(size, CosineSimilarity::default()),
                ),
            ] {
                assert_eq!(
                    (whole.order(), whole.kind()),
                    (blocks.order(), blocks.kind())
                );
                let (a, b) = (whole.matrix(&x, None)?, blocks.matrix(&x, None)?);
                let weights = scattered(5.0, 7, 7);
                let gradient = |y: &Tensor| -> Result<Vec<f64>> {
                    let store = (y * &weights)?.sum_all()?.backward()?;
                    Ok(flat(store.get(x.as_tensor()).unwrap()))
                };
                for (a, b) in [(flat(&a), flat(&b)), (gradient(&a)?, gradient(&b)?)] {
                    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12));
                }
            }
        }
        Ok(())
    }

    #[test]
    fn an_error_of_the_function_ends_the_walk() {
        let x = scattered(0.3, 7, 4);
        let mut blocks = 0;
        let result = batched(2, LpDistance::default()).for_each_block(&x, None, |_, _| {
            blocks += 1;
            Err(Error::Unsupported {
                component: "test",
                reason: "enough",
            })
        });
        assert!(matches!(result, Err(Error::Unsupported { .. })));
        assert_eq!(blocks, 1);
    }

    #[test]
    fn a_block_has_at_least_one_row() {
        let config = BatchedDistanceConfig { batch_size: 0 };
        assert!(matches!(
            BatchedDistance::new(config, LpDistance::default()),
            Err(Error::InvalidParameter {
                name: "batch_size",
                ..
            })
        ));
    }
}
