//! A penalty on the embeddings, or on a loss's weights, themselves.

use std::fmt::Debug;
use std::sync::Arc;

use candle_core::Tensor;

use crate::Result;

/// A penalty on rows, be they embeddings or the weights of a class loss.
pub trait Regularizer: Debug + Send + Sync {
    /// The penalty of `rows` `[rows, dim]` as a scalar.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) unless the tensor is of rank 2.
    fn penalty(&self, rows: &Tensor) -> Result<Tensor>;
}

macro_rules! forward {
    ($($t:ty),*) => {$(
        impl<R: Regularizer + ?Sized> Regularizer for $t {
            fn penalty(&self, rows: &Tensor) -> Result<Tensor> {
                (**self).penalty(rows)
            }
        }
    )*};
}
forward!(&R, Box<R>, Arc<R>);
