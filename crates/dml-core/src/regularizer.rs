//! Regularizers: penalties on embeddings or on the weights of a class loss.

use std::fmt::Debug;
use std::sync::Arc;

use candle_core::Tensor;

use crate::Result;
use crate::forward;

/// A penalty on rows: embeddings, or the weights of a class loss.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Regularizer, Result};
///
/// /// The mean of the squared length of the rows.
/// #[derive(Debug)]
/// struct SquaredLength;
///
/// impl Regularizer for SquaredLength {
///     fn penalty(&self, rows: &Tensor) -> Result<Tensor> {
///         Ok(rows.sqr()?.sum(1)?.mean_all()?)
///     }
/// }
///
/// let rows = Tensor::new(&[[3f32, 4.], [1., 0.]], &Device::Cpu)?;
/// assert_eq!(SquaredLength.penalty(&rows)?.to_scalar::<f32>()?, 13.);
/// # Ok::<(), dml_core::Error>(())
/// ```
pub trait Regularizer: Debug + Send + Sync {
    /// The penalty of `rows` `[rows, dim]` as a scalar.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) unless the tensor is of rank 2.
    fn penalty(&self, rows: &Tensor) -> Result<Tensor>;
}

forward!(Regularizer for [&T, Box<T>, Arc<T>] {
    fn penalty(&self, rows: &Tensor) -> Result<Tensor>;
});
