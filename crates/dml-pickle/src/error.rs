//! Errors.

use std::io;

/// Why a pickle could not be read.
///
/// ```
/// use dml_pickle::{Pickle, PickleError};
///
/// let error = Pickle::read(&b"\x80\x02]"[..], 1024).unwrap_err();
/// assert!(matches!(error, PickleError::Ended { byte: 3 }));
/// assert_eq!(error.to_string(), "byte 3: expected a pickle, found its end");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PickleError {
    /// The bytes end before the pickle does, or the pickle is longer than the limit.
    #[error("byte {byte}: expected a pickle, found its end")]
    Ended {
        /// Position behind the last byte.
        byte: u64,
    },
    /// An operation that is unknown, unsupported or without its operands.
    #[error("byte {byte}: expected a pickle of protocol 2 to 5, found {found}")]
    Malformed {
        /// Position behind the operation.
        byte: u64,
        /// What stands there.
        found: String,
    },
    /// The bytes could not be read.
    #[error("byte {byte}: {source}")]
    Io {
        /// Position behind the last byte that was read.
        byte: u64,
        /// The cause.
        source: io::Error,
    },
}
