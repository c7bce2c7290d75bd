//! What can go wrong, by cause: every message names the argument, what was expected and what came.

use candle_core::DType;

/// The result of every fallible function of the `dml` crates that does no input or output of its own.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong in a distance, miner, loss, reducer, sampler or layer.
///
/// ```
/// use dml_core::{Batch, Error, candle_core::{Device, Tensor}};
///
/// let embeddings = Tensor::new(&[[1f32, 0.], [0., 1.]], &Device::Cpu)?;
/// let error = Batch::new(&embeddings, &[0i64, 1, 2]).unwrap_err();
/// assert!(matches!(error, Error::Length { arg: "labels", expected: 2, got: 3 }));
/// assert_eq!(error.to_string(), "labels: expected length 2, got 3");
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor has another shape than the operation can work with.
    #[error("{arg}: expected shape {expected}, got {got:?}")]
    Shape {
        /// The argument.
        arg: &'static str,
        /// The shape in words, such as `[batch, dim]`.
        expected: &'static str,
        /// The shape that came.
        got: Vec<usize>,
    },
    /// A list has another length than its partner.
    #[error("{arg}: expected length {expected}, got {got}")]
    Length {
        /// The argument.
        arg: &'static str,
        /// The length that its partner asks for.
        expected: usize,
        /// The length that came.
        got: usize,
    },
    /// A tensor has an element type that the operation can't work with.
    #[error("{arg}: expected element type {expected}, got {got:?}")]
    DType {
        /// The argument.
        arg: &'static str,
        /// The types in words, such as `f32 or f64`.
        expected: &'static str,
        /// The type that came.
        got: DType,
    },
    /// A tensor lies on another device than its partner.
    #[error("{arg}: expected a tensor on {expected}, got one on {got}")]
    Device {
        /// The argument.
        arg: &'static str,
        /// The device that its partner lies on.
        expected: String,
        /// The device that came.
        got: String,
    },
    /// A parameter of a configuration is outside its range.
    #[error("{name}: expected {expected}, got {value}")]
    InvalidParameter {
        /// The parameter.
        name: &'static str,
        /// What came.
        value: f64,
        /// The range in words, such as `a finite number >= 0`.
        expected: &'static str,
    },
    /// A count of a configuration is outside its range.
    #[error("{name}: expected a whole number in [{least}, {most}], got {got}")]
    Count {
        /// The parameter.
        name: &'static str,
        /// The smallest count.
        least: usize,
        /// The largest count.
        most: usize,
        /// What came.
        got: usize,
    },
    /// More elements would have to be allocated than are allowed, or than fit into the memory that is available.
    #[error("{name}: expected at most {most} elements, got {got:?}")]
    Size {
        /// The parameter that asks for them.
        name: &'static str,
        /// The largest number of elements.
        most: usize,
        /// The numbers whose product they are.
        got: Vec<usize>,
    },
    /// An index points outside of what it indexes.
    #[error("{arg}[{position}]: expected an index below {limit}, got {got}")]
    Index {
        /// The argument.
        arg: &'static str,
        /// Where in the argument the index stands.
        position: usize,
        /// The first index that is too large.
        limit: usize,
        /// The index that came.
        got: i64,
    },
    /// A component was asked for something that it has no meaning for.
    #[error("{component}: {reason}")]
    Unsupported {
        /// The component.
        component: &'static str,
        /// Why it can't be done, and what to do instead.
        reason: &'static str,
    },
    /// The batch lacks something that the component reads.
    #[error("{component}: needs {needed}, and the batch has none")]
    Missing {
        /// The component.
        component: &'static str,
        /// What it needs, such as `labels or tuples`.
        needed: &'static str,
    },
    /// A data set could not give what was asked of it.
    #[error(transparent)]
    Dataset(Box<dyn std::error::Error + Send + Sync>),
    /// Candle could not do a tensor operation.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// Inside a Candle custom operation only Candle's own error can be returned.
impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Tensor(error) => error,
            other => candle_core::Error::wrap(other),
        }
    }
}
