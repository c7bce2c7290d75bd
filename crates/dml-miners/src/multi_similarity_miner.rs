//! Pairs that are hard beside the hardest pair of the other kind with the same anchor.
//!
//! ```text
//! h: the distance; for similarities its negative
//! positives with h(a,p) + ε > min over the anchor's negatives of h
//! negatives with h(a,n) − ε < max over the anchor's positives of h
//! ```
//!
//! Wang, Han, Huang, Dong and Scott, "Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning"
//! (2019, arXiv:1904.06627), equations 11 and 12. An anchor that lacks one kind gives none of the other.

use std::sync::Arc;

use dml_core::{Batch, Distance, Miner, Result, Tuples, check};

use crate::hard_pairs::hard_pairs;

dml_core::config! {
    /// Configuration of [`MultiSimilarityMiner`].
    pub struct MultiSimilarityMinerConfig {
        /// How much easier than the hardest pair of the other kind a pair may be, in units of the distance; finite. In
        /// `[-1e30, 1e30]`. Default `0.1`.
        pub epsilon: f64 = 0.1,
    }
}

/// Chooses pairs that are hard beside the other kind ([conditions](self)), as a mask.
///
/// ```
/// use dml_core::{Batch, Miner, TupleCount, candle_core::{Device, Tensor}};
/// use dml_distances::CosineSimilarity;
/// use dml_miners::{MultiSimilarityMiner, MultiSimilarityMinerConfig};
///
/// let config = MultiSimilarityMinerConfig::default();
/// let miner = MultiSimilarityMiner::new(config, CosineSimilarity::default())?;
/// let embeddings = Tensor::new(&[[1f32, 0.], [0.8, 0.6], [0., 1.]], &Device::Cpu)?;
/// let batch = Batch::new(&embeddings, &[0i64, 0, 1])?;
/// // Row 1 has similarity 0.8 to its positive and 0.6 to its negative: neither is within 0.1 of the other.
/// let mined = miner.mine(&batch)?;
/// assert_eq!(mined.count(&batch)?, TupleCount::Pairs { positive: 0, negative: 0 });
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MultiSimilarityMiner {
    epsilon: f64,
    distance: Arc<dyn Distance>,
}

impl MultiSimilarityMiner {
    /// A miner over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `epsilon` is not finite.
    pub fn new(
        config: MultiSimilarityMinerConfig,
        distance: impl Distance + 'static,
    ) -> Result<Self> {
        Ok(Self {
            epsilon: check::finite("epsilon", config.epsilon)?,
            distance: Arc::new(distance),
        })
    }
}

impl Miner for MultiSimilarityMiner {
    fn mine(&self, batch: &Batch) -> Result<Tuples> {
        let component = "MultiSimilarityMiner";
        hard_pairs(component, batch, &self.distance, self.epsilon, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::example_distance::{DotProduct, Euclidean, pairs};
    use candle_core::{Device, Tensor};
    use dml_core::Error;

    fn miner(epsilon: f64, distance: impl Distance + 'static) -> Result<MultiSimilarityMiner> {
        MultiSimilarityMiner::new(MultiSimilarityMinerConfig { epsilon }, distance)
    }

    #[test]
    fn the_hardest_of_the_other_kind_decides_and_the_bound_is_strict() -> Result<()> {
        let embeddings = Tensor::new(&[[0f32], [1.], [4.], [2.], [6.]], &Device::Cpu)?;
        let batch = Batch::new(&embeddings, [0i64, 0, 0, 1, 2])?;
        // Anchor 0: positives at 1 and 4, negatives at 2 and 6. With ε = 1: 1 + 1 > 2 fails, 4 + 1 > 2 holds;
        // 2 − 1 < 4 holds, 6 − 1 < 4 fails. Rows 3 and 4 have no positive.
        let (positive, negative) = pairs(&miner(1.0, Euclidean)?.mine(&batch)?, &batch)?;
        let of = |a: u32, list: &[[u32; 2]]| -> Vec<u32> {
            list.iter()
                .filter(|pair| pair[0] == a)
                .map(|pair| pair[1])
                .collect()
        };
        assert_eq!((of(0, &positive), of(0, &negative)), (vec![2], vec![3]));
        assert!(of(3, &positive).is_empty() && of(3, &negative).is_empty());
        Ok(())
    }

    #[test]
    fn similarities_count_the_other_way_round() -> Result<()> {
        let embeddings = Tensor::new(&[[1f32], [5.], [3.], [4.]], &Device::Cpu)?;
        let batch = Batch::new(&embeddings, [0i64, 0, 1, 2])?;
        // Anchor 0: positive 5, negatives 3 and 4. 5 − 1 < 4 fails; 4 + 1 > 5 fails; with ε = 1.5 both hold, and
        // 3 + 1.5 > 5 still fails.
        let mined = |epsilon| -> Result<_> {
            let (positive, negative) = pairs(&miner(epsilon, DotProduct)?.mine(&batch)?, &batch)?;
            let first = |list: Vec<[u32; 2]>| -> Vec<[u32; 2]> {
                list.into_iter().filter(|pair| pair[0] == 0).collect()
            };
            Ok((first(positive), first(negative)))
        };
        assert_eq!(mined(1.0)?, (vec![], vec![]));
        assert_eq!(mined(1.5)?, (vec![[0, 1]], vec![[0, 3]]));
        Ok(())
    }

    #[test]
    fn errors_name_their_cause() {
        assert!(matches!(
            miner(f64::INFINITY, Euclidean),
            Err(Error::InvalidParameter {
                name: "epsilon",
                ..
            })
        ));
    }
}
