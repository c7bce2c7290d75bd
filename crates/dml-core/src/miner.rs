//! Choosing which pairs or triplets of a batch count.

use std::fmt::Debug;
use std::sync::Arc;

use crate::{Batch, Result, Tuples};

/// Chooses which pairs or triplets of a batch are worth learning from. Miners compute no gradients.
pub trait Miner: Debug + Send + Sync {
    /// The chosen tuples of `batch`.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) if the batch has no relation, and as the miner's distance.
    fn mine(&self, batch: &Batch) -> Result<Tuples>;
}

macro_rules! forward {
    ($($t:ty),*) => {$(
        impl<M: Miner + ?Sized> Miner for $t {
            fn mine(&self, batch: &Batch) -> Result<Tuples> {
                (**self).mine(batch)
            }
        }
    )*};
}
forward!(&M, Box<M>, Arc<M>);
