//! Choosing which pairs or triplets of a batch count.

use std::fmt::Debug;
use std::sync::Arc;

use crate::{Batch, Result, SeedSequence, Tuples};

/// Chooses which pairs or triplets of a batch are worth learning from. Miners compute no gradients. Where
/// [`Batch::is_spoiled`], everything is chosen.
///
/// A miner does not look at what pairs of a relation weigh, and tuples hold no weights: a loss that reads weights finds
/// those of the chosen pairs in the relation of the batch.
pub trait Miner: Debug + Send + Sync {
    /// The chosen tuples of `batch`.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) if the batch has no relation, and as the miner's distance.
    fn mine(&self, batch: &Batch) -> Result<Tuples>;

    /// The chosen ones of tuples that another miner chose before, as in a cascade. A miner that only knows whole
    /// batches, which is what stands here, mines the batch.
    ///
    /// # Errors
    /// As [`mine`](Miner::mine).
    fn mine_among(&self, batch: &Batch, _tuples: &Tuples) -> Result<Tuples> {
        self.mine(batch)
    }

    /// Where the miner's randomness comes from: [handles](SeedSequence::handle) for a checkpoint.
    fn seeds(&self) -> Vec<SeedSequence> {
        Vec::new()
    }
}

macro_rules! forward {
    ($($t:ty),*) => {$(
        impl<M: Miner + ?Sized> Miner for $t {
            fn mine(&self, batch: &Batch) -> Result<Tuples> {
                (**self).mine(batch)
            }
            fn mine_among(&self, batch: &Batch, tuples: &Tuples) -> Result<Tuples> {
                (**self).mine_among(batch, tuples)
            }
            fn seeds(&self) -> Vec<SeedSequence> {
                (**self).seeds()
            }
        }
    )*};
}
forward!(&M, Box<M>, Arc<M>);
