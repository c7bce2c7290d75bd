//! What can go wrong, by cause: every message names the argument, what was expected and what came.

use candle_core::DType;

use crate::with_causes;

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
    /// A row holds NaN where only numbers have a meaning.
    #[error("{arg}: expected numbers, got NaN in row {row}")]
    NotANumber {
        /// The argument.
        arg: &'static str,
        /// The first such row.
        row: usize,
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
    /// A pattern selects no name.
    #[error("pattern {pattern}: matches no name; {}", closest_names(closest))]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// The names with the smallest distance to the pattern, the closest first.
        closest: Vec<String>,
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
    Tensor(candle_core::Error),
}

fn closest_names(closest: &[String]) -> String {
    match closest {
        [] => "there are none".to_owned(),
        [only] => format!("the closest is {only}"),
        several => format!("the closest are {}", several.join(", ")),
    }
}

impl Error {
    /// [`Error::Unsupported`] of this `component`, for this `reason`.
    #[must_use]
    pub const fn unsupported(component: &'static str, reason: &'static str) -> Self {
        Self::Unsupported { component, reason }
    }

    /// [`Error::Missing`] of this `component`, which needs what is `needed`.
    #[must_use]
    pub const fn missing(component: &'static str, needed: &'static str) -> Self {
        Self::Missing { component, needed }
    }
}

/// Without backtraces, which Candle would print in the middle of the message.
impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Tensor(without_backtrace(error))
    }
}

/// The error without the backtraces that Candle takes where `RUST_BACKTRACE` is set.
pub(crate) fn without_backtrace(error: candle_core::Error) -> candle_core::Error {
    use candle_core::Error;
    match error {
        Error::WithBacktrace { inner, .. } => without_backtrace(*inner),
        Error::Context { inner, context } => Error::Context {
            inner: Box::new(without_backtrace(*inner)),
            context,
        },
        Error::WithPath { inner, path } => Error::WithPath {
            inner: Box::new(without_backtrace(*inner)),
            path,
        },
        other => other,
    }
}

/// Inside a Candle custom operation only Candle's own error can be returned.
impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Tensor(error) => error,
            // Candle keeps the text alone, so the causes must be in it.
            other => candle_core::Error::Wrapped(Box::new(with_causes(&other).to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_no_backtrace_in_it() {
        let inner = candle_core::Error::Msg("broken".to_owned());
        let traced = candle_core::Error::WithBacktrace {
            inner: Box::new(inner),
            backtrace: Box::new(std::backtrace::Backtrace::force_capture()),
        };
        let error = Error::from(traced.context("while adding").with_path("a/b"));
        let text = error.to_string();
        assert!(
            text.contains("broken") && text.contains("while adding"),
            "{text}"
        );
        assert!(!text.contains("a_message_has_no_backtrace_in_it"), "{text}");
    }

    #[test]
    fn what_candle_hands_through_keeps_its_causes() {
        let source = crate::CheckpointError::File {
            path: "x".into(),
            source: "disk full".into(),
        };
        let through = candle_core::Error::from(Error::Dataset(Box::new(source)));
        let text = Error::from(through).to_string();
        assert_eq!(text, "can't read or write the tensors of x: disk full");
    }
}
