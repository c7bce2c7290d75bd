//! Choosing which rows of a data set make a batch.

use std::fmt::Debug;
use std::sync::Arc;

use crate::{Error, Result};

/// Chooses the batches of an epoch.
pub trait Sampler: Debug + Send + Sync {
    /// The batches of an epoch, each a list of rows of the data set. The same epoch gives the same batches, as long as
    /// the [state](Sampler::state) is the same.
    fn epoch(&self, epoch: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_>;

    /// How many batches [`epoch`](Sampler::epoch) yields.
    fn batches(&self) -> usize;

    /// What batches depend on beside the epoch, as numbers for a checkpoint: weights of rows that change in the course
    /// of a run, say. `None`, for most samplers, if there is nothing.
    ///
    /// Of a sampler with a state, a training loop asks for the batches of an epoch only when it needs the first of them.
    fn state(&self) -> Option<Vec<f64>> {
        None
    }

    /// Goes on from what [`state`](Sampler::state) gave.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if there is no state to be set; others if these numbers are none of this sampler's.
    fn set_state(&self, _state: &[f64]) -> Result<()> {
        Err(Error::Unsupported {
            component: "Sampler::set_state",
            reason: "this sampler has no state",
        })
    }
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
            fn state(&self) -> Option<Vec<f64>> {
                (**self).state()
            }
            fn set_state(&self, state: &[f64]) -> Result<()> {
                (**self).set_state(state)
            }
        }
    )*};
}
forward!(&S, Box<S>, Arc<S>);
