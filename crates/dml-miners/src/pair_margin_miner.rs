//! Pairs on the wrong side of a margin.
//!
//! ```text
//! distances      positives with d > pos_margin      negatives with d < neg_margin
//! similarities   positives with s < pos_margin      negatives with s > neg_margin
//! ```

use std::sync::Arc;

use dml_core::{Batch, Distance, Miner, Result, Tuples, check};

use crate::hard_pairs::hard_pairs;

dml_core::config! {
    /// Configuration of [`PairMarginMiner`].
    pub struct PairMarginMinerConfig {
        /// Positives beyond it are chosen, in units of the distance; in `[-1e30, 1e30]`. Default `0.2`.
        pub pos_margin: f64 = 0.2,
        /// Negatives within it are chosen, in units of the distance; in `[-1e30, 1e30]`. Default `0.8`.
        pub neg_margin: f64 = 0.8,
    }
}

/// Chooses pairs on the wrong side of a margin ([conditions](self)), as a mask.
///
/// ```
/// use dml_core::{Batch, Miner, candle_core::{Device, Tensor}};
/// use dml_distances::CosineSimilarity;
/// use dml_miners::{PairMarginMiner, PairMarginMinerConfig};
///
/// let config = PairMarginMinerConfig { pos_margin: 0.9, neg_margin: 0.5 };
/// let miner = PairMarginMiner::new(config, CosineSimilarity::default())?;
/// let embeddings = Tensor::new(&[[1f32, 0.], [0.8, 0.6], [0., 1.]], &Device::Cpu)?;
/// let batch = Batch::new(&embeddings, &[0i64, 0, 1])?;
/// // The positive pair has similarity 0.8, below 0.9; of the negatives only 0.6 is above 0.5.
/// let pairs = miner.mine(&batch)?.pairs(&batch)?;
/// assert_eq!((&pairs.positive_anchors[..], &pairs.positives[..]), (&[0, 1][..], &[1, 0][..]));
/// assert_eq!((&pairs.negative_anchors[..], &pairs.negatives[..]), (&[1, 2][..], &[2, 1][..]));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PairMarginMiner {
    pos_margin: f64,
    neg_margin: f64,
    distance: Arc<dyn Distance>,
}

impl PairMarginMiner {
    /// A miner over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if a margin is not finite.
    pub fn new(config: PairMarginMinerConfig, distance: impl Distance + 'static) -> Result<Self> {
        Ok(Self {
            pos_margin: check::finite("pos_margin", config.pos_margin)?,
            neg_margin: check::finite("neg_margin", config.neg_margin)?,
            distance: Arc::new(distance),
        })
    }
}

impl Miner for PairMarginMiner {
    fn mine(&self, batch: &Batch) -> Result<Tuples> {
        let bounds = Some([self.pos_margin, self.neg_margin]);
        hard_pairs("PairMarginMiner", batch, &self.distance, 0.0, bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::example_distance::{DotProduct, Euclidean, pairs};
    use candle_core::{Device, Tensor};
    use dml_core::Error;

    fn miner(
        pos_margin: f64,
        neg_margin: f64,
        distance: impl Distance + 'static,
    ) -> PairMarginMiner {
        let config = PairMarginMinerConfig {
            pos_margin,
            neg_margin,
        };
        PairMarginMiner::new(config, distance).unwrap()
    }

    #[test]
    fn pairs_at_a_margin_are_not_chosen() -> Result<()> {
        let embeddings = Tensor::new(&[[0f32], [1.], [3.], [4.]], &Device::Cpu)?;
        let batch = Batch::new(&embeddings, [0i64, 0, 0, 1])?;
        let mined = miner(1.0, 3.0, Euclidean).mine(&batch)?;
        // d = 1 is at the positive margin, d = 3 at the negative one.
        let (positive, negative) = pairs(&mined, &batch)?;
        assert_eq!(positive, [[0, 2], [1, 2], [2, 0], [2, 1]]);
        assert_eq!(negative, [[2, 3], [3, 2]]);
        Ok(())
    }

    #[test]
    fn similarities_count_the_other_way_round() -> Result<()> {
        let embeddings = Tensor::new(&[[1f32], [2.], [3.]], &Device::Cpu)?;
        let batch = Batch::new(&embeddings, [0i64, 0, 1])?;
        let mined = miner(2.0, 3.0, DotProduct).mine(&batch)?;
        assert_eq!(pairs(&mined, &batch)?, (vec![], vec![[1, 2], [2, 1]]));
        let mined = miner(2.5, 6.0, DotProduct).mine(&batch)?;
        assert_eq!(pairs(&mined, &batch)?, (vec![[0, 1], [1, 0]], vec![]));
        Ok(())
    }

    #[test]
    fn errors_name_their_cause() -> Result<()> {
        let config = PairMarginMinerConfig {
            neg_margin: f64::NAN,
            ..Default::default()
        };
        assert!(matches!(
            PairMarginMiner::new(config, Euclidean),
            Err(Error::InvalidParameter {
                name: "neg_margin",
                ..
            })
        ));
        let unlabeled = Batch::unlabeled(&Tensor::new(&[[0f32]], &Device::Cpu)?)?;
        assert!(matches!(
            miner(0.2, 0.8, Euclidean).mine(&unlabeled),
            Err(Error::Missing {
                component: "PairMarginMiner",
                ..
            })
        ));
        Ok(())
    }
}
