//! What can go wrong in a collection.

use std::io;
use std::path::{Path, PathBuf};

use dml_core::folder_lock::FolderLockError;

use super::id::{Id, IdKind, IdRef};
use super::value::ValueKind;
use crate::index::IndexFileError;

/// Why a collection could not be opened, changed or searched. After an error of a change nothing has changed.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Collection, CollectionError, FlatIndex, Items};
///
/// let mut collection = Collection::new(FlatIndex::default());
/// let row = Tensor::new(&[[1f32, 2.]], &Device::Cpu)?;
/// collection.add(Items::new(["a"], &row)?)?;
/// let error = collection.add(Items::new(["a"], &row)?).unwrap_err();
/// assert!(matches!(error, CollectionError::DuplicateId { .. }));
/// assert_eq!(error.to_string(), "id a: there already; `upsert` replaces items");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectionError {
    /// The index refuses rows, queries or a number.
    #[error(transparent)]
    Index(#[from] dml_core::Error),
    /// The file of the index can't be read or written, or is damaged.
    #[error(transparent)]
    IndexFile(#[from] IndexFileError),
    /// The system could not read or write.
    #[error("can't read or write {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Another process or collection is writing to the folder.
    #[error(transparent)]
    Locked(#[from] FolderLockError),
    /// The folder holds no collection.
    #[error("{}: no collection", path.display())]
    NotACollection {
        /// The folder.
        path: PathBuf,
    },
    /// A collection would be created where something is already.
    #[error("{}: expected a new or an empty folder", path.display())]
    NotEmpty {
        /// The folder.
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
    /// A file of the folder is not what was written.
    #[error("{}: {fault}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// Changes in the log are damaged, and intact ones follow them: that is not what a crash leaves.
    #[error(
        "{}: the change at byte {offset} is damaged, and intact changes follow it; opening with \
         `DamagedLog::CutAtDamage` gives them up",
        path.display()
    )]
    DamagedLog {
        /// The log.
        path: PathBuf,
        /// Where the damage begins.
        offset: u64,
    },
    /// The collection was opened for reading only.
    #[error("{}: opened for reading only", path.display())]
    ReadOnly {
        /// The folder.
        path: PathBuf,
    },
    /// A change could be neither written nor taken back; the collection must be opened again.
    #[error("{}: an earlier write failed; open the collection again", path.display())]
    Broken {
        /// The log.
        path: PathBuf,
    },
    /// An item of that id is there already.
    #[error("id {id}: there already; `upsert` replaces items")]
    DuplicateId {
        /// The id.
        id: Id,
    },
    /// One call gives two items of one id.
    #[error("id {id}: given twice in one call")]
    RepeatedId {
        /// The id.
        id: Id,
    },
    /// There is no item of that id.
    #[error("id {id}: no such item")]
    UnknownId {
        /// The id.
        id: Id,
    },
    /// All ids of a collection or list are of one kind.
    #[error("id {got}: expected ids that are {expected}")]
    IdKind {
        /// The kind of the ids that are there.
        expected: IdKind,
        /// The id that came.
        got: Id,
    },
    /// A text id is empty or too long.
    #[error("ids[{position}]: expected a text of 1 to 4096 bytes, got {bytes}")]
    IdLength {
        /// Where in the list the id stands.
        position: usize,
        /// The length of its text in bytes.
        bytes: usize,
    },
    /// A list has another length than there are items.
    #[error("{what}: expected {expected}, one an item, got {got}")]
    Count {
        /// What is listed.
        what: String,
        /// The number of items.
        expected: usize,
        /// The length of the list.
        got: usize,
    },
    /// A name that no attribute can have.
    #[error("attribute {name:?}: expected a name of 1 to 255 bytes without control characters")]
    AttributeName {
        /// The beginning of the name.
        name: String,
    },
    /// Items of one call have two columns of one name.
    #[error("attribute {attribute}: given twice in one call")]
    RepeatedAttribute {
        /// The attribute.
        attribute: String,
    },
    /// All values of an attribute are of one kind.
    #[error("attribute {attribute}: expected {expected}, got {got}")]
    AttributeKind {
        /// The attribute.
        attribute: String,
        /// The kind of its values.
        expected: ValueKind,
        /// The kind that came.
        got: ValueKind,
    },
    /// A value that no attribute can have.
    #[error("attribute {attribute}: expected {expected}")]
    AttributeValue {
        /// The attribute.
        attribute: String,
        /// What its values can be.
        expected: &'static str,
    },
    /// The collection would have too many attributes.
    #[error("attributes: expected at most {most}, got {got}")]
    TooManyAttributes {
        /// Attributes of a collection at most.
        most: usize,
        /// How many there would be.
        got: usize,
    },
    /// A filter names an attribute that no item has ever had.
    #[error("attribute {attribute}: no item has it; {}", known_names(known))]
    UnknownAttribute {
        /// The attribute.
        attribute: String,
        /// The attributes that there are.
        known: Vec<String>,
    },
    /// A selection of another collection, or from before its last change.
    #[error("selection: made before the last change of the collection; select again")]
    StaleSelection,
}

fn known_names(known: &[String]) -> String {
    match known {
        [] => "there are no attributes".to_owned(),
        some => format!("there are {}", some.join(", ")),
    }
}

impl CollectionError {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn damaged(path: &Path, fault: &'static str) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            fault,
        }
    }

    pub(super) fn id_kind(expected: IdKind, got: IdRef<'_>) -> Self {
        Self::IdKind {
            expected,
            got: got.to_id(),
        }
    }
}
