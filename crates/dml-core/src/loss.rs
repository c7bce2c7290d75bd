//! Losses: from a batch and its tuples to terms that a reducer makes a number of.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use candle_core::{Tensor, Var};

use crate::forward;
use crate::{Batch, Result, SeedSequence, Terms, Tuples};

/// A loss: one value per element, pair or triplet, with gradient. A loss never reduces.
///
/// Only [`terms`](Loss::terms) must be written for a new one. It begins with [`Batch::spoiled`], so that rows that are not
/// finite make the loss NaN instead of being dropped by a comparison. Here is `max(0, d(a,p) − d(a,n) + margin)²`:
///
/// ```
/// use dml_core::candle_core::{Device, Tensor, Var};
/// use dml_core::{Batch, Distance, Indices, Loss, Over, Result, Term, TensorExt, Terms, Tuples};
///
/// #[derive(Debug)]
/// struct SquaredHinge<D> {
///     distance: D,
///     margin: f64,
/// }
///
/// impl<D: Distance> Loss for SquaredHinge<D> {
///     fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
///         if let Some(terms) = batch.spoiled(tuples)? {
///             return Ok(terms);
///         }
///         let triplets = tuples.triplets(batch)?; // T triplets
///         let matrix = batch.distances(&self.distance)?; // [Q, R]
///         let near = matrix.pick_entries(&triplets.anchors, &triplets.positives)?; // [T]
///         let far = matrix.pick_entries(&triplets.anchors, &triplets.negatives)?; // [T]
///         let values = (self.distance.gap(&near, &far)? + self.margin)?.hinge()?.sqr()?;
///         Ok(Term::explicit("loss", Over::Triplets, values, Indices::Triplets(triplets))?.into())
///     }
/// }
///
/// #[derive(Debug)]
/// struct Euclidean;
///
/// impl Distance for Euclidean {
///     fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
///         query.pairwise_lp(reference.unwrap_or(query), 2.0)
///     }
/// }
///
/// let embeddings = Var::new(&[[0f32], [1.], [3.]], &Device::Cpu)?;
/// let batch = Batch::new(&embeddings, &[0i64, 0, 1])?;
/// let loss = SquaredHinge { distance: Euclidean, margin: 2.0 };
/// let terms = loss.terms(&batch, &Tuples::all())?;
/// let (values, _) = terms.get("loss").unwrap().values()?;
/// // d(0,1) − d(0,2) + 2 and d(1,0) − d(1,2) + 2, squared.
/// assert_eq!(values.to_vec1::<f32>()?, [0., 1.]);
/// assert!(values.sum_all()?.backward()?.get(embeddings.as_tensor()).is_some());
/// # Ok::<(), dml_core::Error>(())
/// ```
pub trait Loss: Debug + Send + Sync {
    /// The terms of the loss over `tuples` of `batch`; [`Tuples::all`] stands for everything the relation allows.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) if the batch lacks what the loss reads,
    /// [`Error::Unsupported`](crate::Error::Unsupported) for tuples that it has no meaning for.
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms>;

    /// Learned parameters by name, for an optimiser and for checkpoints.
    fn parameters(&self) -> Vec<(String, Var)> {
        Vec::new()
    }

    /// State that is kept from call to call without being learned, by name: queues, running histograms.
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
///
/// ```
/// use dml_core::candle_core::{DType, Device, Tensor, Var};
/// use dml_core::{Batch, ClassLoss, Indices, Loss, Over, Result, Term, TensorExt, Terms, Tuples};
///
/// /// `−⟨embedding, weights of its class⟩`.
/// #[derive(Debug)]
/// struct Alignment(Var); // [classes, dim]
///
/// impl Loss for Alignment {
///     fn terms(&self, batch: &Batch, _: &Tuples) -> Result<Terms> {
///         if let Some(terms) = batch.spoiled_rows()? {
///             return Ok(terms);
///         }
///         let classes: Vec<u32> = batch.labels().unwrap().as_slice().iter().map(|&c| c as u32).collect();
///         let rows: Vec<u32> = (0..batch.queries() as u32).collect();
///         let values = self.logits(batch.embeddings())?.pick_entries(&rows, &classes)?.neg()?;
///         Ok(Term::explicit("loss", Over::Elements, values, Indices::Elements(rows))?.into())
///     }
///     fn parameters(&self) -> Vec<(String, Var)> {
///         vec![("W".to_owned(), self.0.clone())]
///     }
///     fn as_class_loss(&self) -> Option<&dyn ClassLoss> {
///         Some(self)
///     }
/// }
///
/// impl ClassLoss for Alignment {
///     fn logits(&self, embeddings: &Tensor) -> Result<Tensor> {
///         embeddings.pairwise_dot(&self.0)
///     }
///     fn class_rows(&self) -> Result<Tensor> {
///         Ok(self.0.as_tensor().clone())
///     }
/// }
///
/// let loss = Alignment(Var::ones((3, 2), DType::F32, &Device::Cpu)?);
/// let batch = Batch::new(&Tensor::new(&[[1f32, 2.]], &Device::Cpu)?, &[2i64])?;
/// let terms = loss.terms(&batch, &Tuples::all())?;
/// assert_eq!(terms.get("loss").unwrap().values()?.0.to_vec1::<f32>()?, [-3.]);
/// # Ok::<(), dml_core::Error>(())
/// ```
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

forward!(Loss for [&T, Box<T>, Arc<T>] {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms>;
    fn parameters(&self) -> Vec<(String, Var)>;
    fn buffers(&self) -> Result<Vec<(String, Tensor)>>;
    fn set_buffers(&self, buffers: &HashMap<String, Tensor>) -> Result<()>;
    fn seeds(&self) -> Vec<SeedSequence>;
    fn takes_reference(&self) -> bool;
    fn reads_classes(&self) -> bool;
    fn takes_tuples(&self) -> bool;
    fn reads_relation(&self) -> bool;
    fn reads_weights(&self) -> bool;
    fn as_class_loss(&self) -> Option<&dyn ClassLoss>;
});

forward!(ClassLoss for [&T, Box<T>, Arc<T>] {
    fn logits(&self, embeddings: &Tensor) -> Result<Tensor>;
    fn class_rows(&self) -> Result<Tensor>;
});
