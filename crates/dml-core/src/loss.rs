//! Turning a batch and its tuples into terms to be reduced.

use std::fmt::Debug;
use std::sync::Arc;

use crate::{Batch, Result, Terms, Tuples};

/// A loss: one value per element, pair or triplet, with gradient. A loss never reduces.
pub trait Loss: Debug + Send + Sync {
    /// The terms of the loss over `tuples` of `batch`; [`Tuples::All`] stands for everything the relation allows.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) if the batch lacks what the loss reads,
    /// [`Error::Unsupported`](crate::Error::Unsupported) for tuples that it has no meaning for.
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms>;
}

macro_rules! forward {
    ($($t:ty),*) => {$(
        impl<L: Loss + ?Sized> Loss for $t {
            fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
                (**self).terms(batch, tuples)
            }
        }
    )*};
}
forward!(&L, Box<L>, Arc<L>);
