//! The farthest positive and the nearest negative of each anchor.
//!
//! ```text
//! p = argmax h(a,p)      n = argmin h(a,n)      h: the distance; for similarities its negative
//! ```
//!
//! Hermans, Beyer and Leibe, "In Defense of the Triplet Loss for Person Re-Identification" (2017, arXiv:1703.07737).

use dml_core::{Batch, Distance, Miner, Result, Triplets, Tuples};

use crate::{AllowedRange, BatchEasyHardMiner, BatchEasyHardMinerConfig, BatchStrategy};

dml_core::config! {
    /// Configuration of [`BatchHardMiner`].
    pub struct BatchHardMinerConfig {
        /// Only positives whose distance or similarity is within are looked at. Default none.
        #[cfg_attr(feature = "serde", serde(with = "crate::allowed_range::extended"))]
        pub allowed_pos_range: Option<AllowedRange> = None,
        /// Only negatives whose distance or similarity is within are looked at. Default none.
        #[cfg_attr(feature = "serde", serde(with = "crate::allowed_range::extended"))]
        pub allowed_neg_range: Option<AllowedRange> = None,
    }
}

/// Chooses the hardest triplet of each anchor that has a positive and a negative ([formula](self)).
///
/// ```
/// use dml_core::{Batch, Miner, candle_core::{Device, Tensor}};
/// use dml_distances::LpDistance;
/// use dml_miners::{BatchHardMiner, BatchHardMinerConfig};
///
/// let miner = BatchHardMiner::new(BatchHardMinerConfig::default(), LpDistance::default())?;
/// let embeddings = Tensor::new(&[[1f32, 0.], [0.8, 0.6], [0., 1.], [-1., 0.]], &Device::Cpu)?;
/// let batch = Batch::new(&embeddings, &[0i64, 0, 0, 1])?;
/// let triplets = miner.mine(&batch)?.triplets(&batch)?;
/// assert_eq!((&triplets.anchors[..], &triplets.positives[..]), (&[0, 1, 2][..], &[2, 2, 0][..]));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BatchHardMiner(BatchEasyHardMiner);

impl BatchHardMiner {
    /// A miner over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a range whose ends are not in order.
    pub fn new(config: BatchHardMinerConfig, distance: impl Distance + 'static) -> Result<Self> {
        let config = BatchEasyHardMinerConfig {
            pos_strategy: BatchStrategy::Hard,
            neg_strategy: BatchStrategy::Hard,
            allowed_pos_range: config.allowed_pos_range,
            allowed_neg_range: config.allowed_neg_range,
        };
        Ok(Self(BatchEasyHardMiner::new(config, distance)?))
    }
}

impl Miner for BatchHardMiner {
    fn mine(&self, batch: &Batch) -> Result<Tuples> {
        let relation = batch.require_relation("BatchHardMiner")?;
        if batch.is_spoiled()? {
            return Ok(Tuples::all());
        }
        let choices = (0..).zip(self.0.choices(batch, relation)?);
        let triplets = choices.filter_map(|(a, (p, n))| Some((a, p?, n?)));
        Ok(triplets.collect::<Triplets>().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::example_distance::{DotProduct, Euclidean, triplets};
    use candle_core::{Device, Tensor};

    #[test]
    fn anchors_that_lack_a_kind_are_left_out() -> Result<()> {
        let embeddings = Tensor::new(&[[0f32], [1.], [3.], [4.], [5.]], &Device::Cpu)?;
        let batch = Batch::new(&embeddings, [0i64, 0, 0, 1, 2])?;
        let miner = BatchHardMiner::new(BatchHardMinerConfig::default(), Euclidean)?;
        assert_eq!(
            triplets(&miner.mine(&batch)?, &batch)?,
            [[0, 2, 3], [1, 2, 3], [2, 0, 3]]
        );
        let miner = BatchHardMiner::new(BatchHardMinerConfig::default(), DotProduct)?;
        assert_eq!(
            triplets(&miner.mine(&batch)?, &batch)?,
            [[0, 1, 3], [1, 0, 4], [2, 0, 4]]
        );
        Ok(())
    }

    #[test]
    fn a_memory_that_holds_the_batch_never_matches_a_row_with_itself() -> Result<()> {
        let query = Tensor::new(&[[0f32], [1.]], &Device::Cpu)?;
        let memory = Tensor::new(&[[7f32], [0.], [1.], [2.]], &Device::Cpu)?;
        let relation = dml_core::Relation::cross_labels([0i64, 0], [1i64, 0, 0, 0])?
            .with_self_matches(&[Some(1), Some(2)])?;
        let batch = Batch::unlabeled(&query)?
            .with_unlabeled_reference(&memory)?
            .with_relation(relation)?;
        let easiest = BatchEasyHardMinerConfig {
            pos_strategy: BatchStrategy::Easy,
            neg_strategy: BatchStrategy::Hard,
            ..Default::default()
        };
        let mined = BatchEasyHardMiner::new(easiest, Euclidean)?.mine(&batch)?;
        // The copies at rows 1 and 2 would be nearest, at distance 0.
        assert_eq!(mined.pairs(&batch)?.positives, [2, 1]);
        Ok(())
    }
}
