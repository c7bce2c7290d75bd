//! What can go wrong with the file of an index.

use std::io;
use std::path::{Path, PathBuf};

/// Why an index could not be saved or loaded.
///
/// ```
/// use dml_eval::{IndexFileError, load_index};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("notes.txt");
/// std::fs::write(&path, "no index")?;
/// assert!(matches!(load_index(&path), Err(IndexFileError::NotAnIndex { .. })));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexFileError {
    /// The system could not read or write.
    #[error("can't read or write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file does not begin as an index does.
    #[error("{}: no index file", path.display())]
    NotAnIndex {
        /// The file.
        path: PathBuf,
    },
    /// The file is of another version than this program knows.
    #[error("{}: expected version {known}, got {got}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that is known.
        known: u32,
        /// The version of the file.
        got: u32,
    },
    /// The file is shorter or longer than it says.
    #[error("{}: expected {expected} bytes, got {got}", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// The length that its header gives.
        expected: u64,
        /// Its length.
        got: u64,
    },
    /// The file is not what was written.
    #[error("{}: its {part} has been altered", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// `header`, `rows` or `checksums`.
        part: &'static str,
    },
    /// The file holds an index of another kind, metric or element type.
    #[error("{}: expected {expected}", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What can be loaded.
        expected: &'static str,
    },
    /// The file holds a graph of neighbours that no index can have written.
    #[error("{}: its graph {fault}", path.display())]
    Graph {
        /// The file.
        path: PathBuf,
        /// What is wrong with the graph.
        fault: &'static str,
    },
    /// The rows can't be those of an index.
    #[error("{}: expected the rows of an index", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: dml_core::Error,
    },
}

impl IndexFileError {
    pub(crate) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn not_an_index(path: &Path) -> Self {
        Self::NotAnIndex {
            path: path.to_owned(),
        }
    }

    pub(crate) fn checksum(path: &Path, part: &'static str) -> Self {
        Self::Checksum {
            path: path.to_owned(),
            part,
        }
    }

    pub(crate) fn kind(path: &Path, expected: &'static str) -> Self {
        Self::Kind {
            path: path.to_owned(),
            expected,
        }
    }

    #[cfg(feature = "usearch")]
    pub(crate) fn graph(path: &Path) -> impl Fn(&'static str) -> Self {
        move |fault| Self::Graph {
            path: path.to_owned(),
            fault,
        }
    }

    pub(crate) fn content(path: &Path) -> impl Fn(dml_core::Error) -> Self {
        move |source| Self::Content {
            path: path.to_owned(),
            source,
        }
    }
}
