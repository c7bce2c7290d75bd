//! What can go wrong with files of others.

use std::io;
use std::path::{Path, PathBuf};

use dml_data::DataError;
use dml_eval::CollectionError;

/// The result of every function of this crate.
pub(crate) type Result<T> = std::result::Result<T, ExchangeError>;

/// Why a file of another program's format could not be read or written.
///
/// ```
/// use dml_exchange::{ExchangeError, npy};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("rows.npy");
/// std::fs::write(&path, "no array")?;
/// let error = npy::read_rows(&path).unwrap_err();
/// assert!(matches!(error, ExchangeError::File(_)));
/// assert!(error.to_string().contains("expected an array of NumPy"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The system could not read or write.
    #[error("can't read or write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file is not what is expected.
    #[error("{}: expected {expected}, got {found}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is expected, in words.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// Something that the format can't hold.
    #[error("{what}: expected {expected}, got {got}")]
    Unsupported {
        /// What can't be written.
        what: &'static str,
        /// What the format holds.
        expected: &'static str,
        /// What came.
        got: String,
    },
    /// The file can't be read or written, or is damaged.
    #[error(transparent)]
    File(Box<DataError>),
    /// The rows can't be made or read.
    #[error(transparent)]
    Rows(#[from] dml_core::Error),
    /// The items can't be put into a collection, or taken out of it.
    #[error(transparent)]
    Collection(#[from] CollectionError),
}

impl From<DataError> for ExchangeError {
    fn from(error: DataError) -> Self {
        Self::File(Box::new(error))
    }
}

impl ExchangeError {
    pub(super) fn unsupported(
        what: &'static str,
        expected: &'static str,
        got: impl ToString,
    ) -> Self {
        Self::Unsupported {
            what,
            expected,
            got: got.to_string(),
        }
    }

    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn format(path: &Path, expected: &'static str, found: impl ToString) -> Self {
        // A file may hold anything, at any length.
        let found: String = found.to_string().chars().take(200).collect();
        Self::Format {
            path: path.to_owned(),
            expected,
            found,
        }
    }
}
