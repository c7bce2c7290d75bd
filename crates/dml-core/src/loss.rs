//! Turning a batch and its tuples into terms to be reduced.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use candle_core::{Tensor, Var};

use crate::{Batch, Result, SeedSequence, Terms, Tuples};

/// A loss: one value per element, pair or triplet, with gradient. A loss never reduces.
///
/// Only [`terms`](Loss::terms) must be written for a new one. It begins with [`Batch::spoiled`], so that comparisons never
/// drop a row that is no number; an [`Objective`](crate::Objective) asks in any case.
pub trait Loss: Debug + Send + Sync {
    /// The terms of the loss over `tuples` of `batch`; [`Tuples::all`] stands for everything the relation allows.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) if the batch lacks what the loss reads,
    /// [`Error::Unsupported`](crate::Error::Unsupported) for tuples that it has no meaning for.
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms>;

    /// What the loss learns, by name: for an optimiser, and for a checkpoint.
    fn parameters(&self) -> Vec<(String, Var)> {
        Vec::new()
    }

    /// What the loss remembers from call to call without learning it, by name: queues, running histograms.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if Candle cannot do it.
    fn buffers(&self) -> Result<Vec<(String, Tensor)>> {
        Ok(Vec::new())
    }

    /// Puts back what [`buffers`](Loss::buffers) gave. Names that the loss does not know are left alone; on an error
    /// nothing has changed.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) for a buffer that is not there,
    /// [`Error::Shape`](crate::Error::Shape) for one that does not fit.
    fn set_buffers(&self, _buffers: &HashMap<String, Tensor>) -> Result<()> {
        Ok(())
    }

    /// Where the loss' randomness comes from: [handles](SeedSequence::handle) for a checkpoint.
    fn seeds(&self) -> Vec<SeedSequence> {
        Vec::new()
    }

    /// Whether positives and negatives may be rows of a reference set, such as a memory of earlier batches or a second
    /// view of this one.
    fn takes_reference(&self) -> bool {
        self.as_class_loss().is_none()
    }

    /// Whether labels are more to the loss than same and other: numbers of classes of which it knows something.
    fn reads_classes(&self) -> bool {
        self.as_class_loss().is_some()
    }

    /// Whether the loss takes tuples other than [`Tuples::all`], as miners and memories hand them over.
    fn takes_tuples(&self) -> bool {
        true
    }

    /// Whether labels or a relation mean anything to the loss. `false` stands for a loss that compares two views, row by
    /// row: the embeddings and the reference set of a batch.
    fn reads_relation(&self) -> bool {
        true
    }

    /// Whether the loss reads what pairs of a relation weigh. An [`Objective`](crate::Objective) refuses a
    /// [weighted](crate::Relation::is_weighted) relation for one that does not, so that no weight is dropped in silence.
    fn reads_weights(&self) -> bool {
        false
    }

    /// The loss as one that knows classes, if it is.
    fn as_class_loss(&self) -> Option<&dyn ClassLoss> {
        None
    }
}

/// A loss that compares embeddings with learned weights of classes instead of with each other.
pub trait ClassLoss: Loss {
    /// How near each embedding is to each class, before any margin: `[rows, dim]` → `[rows, classes]`.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) unless rows are as long as the weights.
    fn logits(&self, embeddings: &Tensor) -> Result<Tensor>;

    /// One row for each class, or for each centre of a class, as a weight regularizer reads them: `[rows, dim]`.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if Candle cannot do it.
    fn class_rows(&self) -> Result<Tensor>;
}

macro_rules! forward {
    ($($t:ty),*) => {$(
        impl<L: Loss + ?Sized> Loss for $t {
            fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
                (**self).terms(batch, tuples)
            }
            fn parameters(&self) -> Vec<(String, Var)> {
                (**self).parameters()
            }
            fn buffers(&self) -> Result<Vec<(String, Tensor)>> {
                (**self).buffers()
            }
            fn set_buffers(&self, buffers: &HashMap<String, Tensor>) -> Result<()> {
                (**self).set_buffers(buffers)
            }
            fn seeds(&self) -> Vec<SeedSequence> {
                (**self).seeds()
            }
            fn takes_reference(&self) -> bool {
                (**self).takes_reference()
            }
            fn reads_classes(&self) -> bool {
                (**self).reads_classes()
            }
            fn takes_tuples(&self) -> bool {
                (**self).takes_tuples()
            }
            fn reads_relation(&self) -> bool {
                (**self).reads_relation()
            }
            fn reads_weights(&self) -> bool {
                (**self).reads_weights()
            }
            fn as_class_loss(&self) -> Option<&dyn ClassLoss> {
                (**self).as_class_loss()
            }
        }
    )*};
}
forward!(&L, Box<L>, Arc<L>);
