//! What can go wrong when a network is exported.

use std::io;
use std::path::PathBuf;

/// The result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, OnnxError>;

/// Errors of exporting a network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The model has more bytes than a file of the format can have.
    #[error("model: expected at most {most} bytes, got {bytes}")]
    TooLarge {
        /// Largest number of bytes.
        most: usize,
        /// Number of bytes of the model, or of its weights.
        bytes: usize,
    },
    /// A name of the configuration is empty, or two values have it.
    #[error("{arg}: expected a name that no other value has, got {name:?}")]
    Name {
        /// The field of the configuration.
        arg: &'static str,
        /// The name.
        name: String,
    },
    /// The file can't be written.
    #[error("can't write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The answer of the operating system.
        source: io::Error,
    },
    /// A layer has no description as a graph, or does not take the example.
    #[error(transparent)]
    Core(#[from] dml_core::Error),
}

impl From<candle_core::Error> for OnnxError {
    fn from(error: candle_core::Error) -> Self {
        Self::Core(error.into())
    }
}
