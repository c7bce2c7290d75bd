//! Choosing which rows of a data set make a batch.

use std::fmt::Debug;
use std::sync::Arc;

/// Chooses the batches of an epoch.
pub trait Sampler: Debug + Send + Sync {
    /// The batches of an epoch, each a list of rows of the data set. The same epoch gives the same batches.
    fn epoch(&self, epoch: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_>;

    /// How many batches [`epoch`](Sampler::epoch) yields.
    fn batches(&self) -> usize;
}

macro_rules! forward {
    ($($t:ty),*) => {$(
        impl<S: Sampler + ?Sized> Sampler for $t {
            fn epoch(&self, epoch: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
                (**self).epoch(epoch)
            }
            fn batches(&self) -> usize {
                (**self).batches()
            }
        }
    )*};
}
forward!(&S, Box<S>, Arc<S>);
