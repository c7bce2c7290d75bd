//! Search that carries the user's ids and attributes, filtered, and kept on the disk.
//!
//! A [`Collection`] is any [`KnnIndex`] with an id and attributes for every row:
//!
//! ```text
//! item   id (whole number or text), row, attributes (true or false, whole number, number, text; each may be absent)
//! slot   the row number of an item in the index
//! ```
//!
//! | | cost |
//! |---|---|
//! | `add`, `upsert` | that of adding rows to the index; an item that is replaced leaves its slot empty |
//! | `remove` | a look-up an id; the slot stays empty |
//! | compaction | O(slots · dim), when more than a quarter of the slots and more than 1,024 are empty: O(dim) an item on average |
//! | `select` | O(items) for every comparison of the filter |
//! | `search` | that of the index; with a filter, of an exact index: O(chosen · dim) a query |
//!
//! In a folder, every change is written to a log and synced before it returns; [`folder`] says how. All ids, and all attributes,
//! are in memory; rows may stay in the file ([`Storage::Mapped`]).

mod changes;
mod column;
mod error;
pub mod filter;
pub mod folder;
mod id;
mod item;
mod items;
#[cfg(feature = "serde")]
mod json;
mod reading;
mod search;
mod searching;
mod slots;
mod state;
mod table;
mod value;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::index::KnnIndex;
use folder::Folder;
use state::State;

pub use changes::Upserted;
pub use column::Column;
pub use error::CollectionError;
pub use filter::{Filter, FilterSyntaxError};
pub use folder::{DamagedLog, Durability, OpenOptions, Storage};
pub use id::{Id, IdKind, IdRef, Ids};
pub use item::{Item, ItemRef};
pub use items::Items;
pub use reading::{AttributeInfo, CollectionSummary, FolderSummary};
pub use search::{Hit, Search, Selection};
pub use value::{Attributes, Value, ValueKind};

type Result<T> = std::result::Result<T, CollectionError>;

/// Items with ids, rows and attributes that can be searched and changed; see the [module](self).
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Attributes, Collection, Filter, FlatIndex, FlatMetric, Items, Search};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("shop");
/// let mut shop = Collection::create(&path, FlatIndex::new(FlatMetric::Cosine))?;
/// let rows = Tensor::new(&[[1f32, 0.], [0.9, 0.1], [0., 1.]], &Device::Cpu)?;
/// shop.add(Items::new(["a", "b", "c"], &rows)?.with_attributes([
///     Attributes::from([("color", "red".into()), ("price", 9.5.into())]),
///     Attributes::from([("color", "blue".into())]),
///     Attributes::from([("color", "red".into()), ("price", 20.0.into())]),
/// ])?)?;
///
/// let query = Tensor::new(&[[0f32, 2.]], &Device::Cpu)?;
/// let nearest = shop.search(&query, 1)?;
/// assert_eq!((nearest[0][0].id, nearest[0][0].distance), ("c".into(), 1.0));
/// let cheap: Filter = r#"color = "red" and price < 10"#.parse()?;
/// let nearest = shop.search_with(&query, &Search::nearest(5).with_filter(&cheap))?;
/// assert_eq!((nearest[0].len(), nearest[0][0].id), (1, "a".into()));
///
/// shop.remove(&["c"].into())?;
/// drop(shop);
/// let shop = Collection::open(&path)?;
/// assert_eq!((shop.len(), shop.contains("c")), (2, false));
/// assert_eq!(shop.attributes("b").unwrap().to_string(), r#"color = "blue""#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Collection {
    state: State,
    folder: Option<Folder>,
    /// A number that no other state of any collection has.
    version: u64,
}

dml_core::debug_fields!(Collection, |own| {
    items: own.len(), folder: own.path(), index: own.state.index,
});

/// A number that is given once.
fn new_version() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Collection {
    /// A collection in memory, without items.
    ///
    /// If the index has rows, these are dropped: [`with_ids`](Self::with_ids) keeps them.
    #[must_use]
    pub fn new(index: impl KnnIndex + 'static) -> Self {
        let index: Box<dyn KnnIndex> = if index.is_empty() {
            Box::new(index)
        } else {
            index.to_empty()
        };
        Self::of(State::new(index), None)
    }

    /// A collection in memory of the rows that an index has, with their ids in the order of the rows.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_eval::{Collection, FlatIndex, KnnIndex};
    ///
    /// let mut index = FlatIndex::default();
    /// index.add(&Tensor::new(&[[0f32], [5.]], &Device::Cpu)?)?;
    /// let collection = Collection::with_ids(index, [100, 200])?;
    /// let query = Tensor::new(&[[4f32]], &Device::Cpu)?;
    /// assert_eq!(collection.search(&query, 1)?[0][0].id, 200.into());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`CollectionError::Count`] unless there is an id for every row; [`CollectionError::RepeatedId`] or
    /// [`CollectionError::IdLength`] for ids that can't be.
    pub fn with_ids(index: impl KnnIndex + 'static, ids: impl Into<Ids>) -> Result<Self> {
        let ids = ids.into();
        items::check_count("ids", index.len(), ids.len())?;
        ids.check()?;
        if let Some(id) = ids.repeated() {
            return Err(CollectionError::RepeatedId { id: id.to_id() });
        }
        let mut state = State::new(Box::new(index));
        state.put_items(&ids, &[]);
        Ok(Self::of(state, None))
    }

    /// A collection without items in a new folder, open for writing.
    ///
    /// # Errors
    /// [`CollectionError::NotEmpty`] if the folder holds something, [`CollectionError::Locked`] if somebody else is creating a
    /// collection there, [`CollectionError::Io`] if it can't be written.
    pub fn create(folder: impl AsRef<Path>, index: impl KnnIndex + 'static) -> Result<Self> {
        let state = Self::new(index).state;
        let folder = Folder::create(folder.as_ref(), &state, OpenOptions::default())?;
        Ok(Self::of(state, Some(folder)))
    }

    /// The collection of a folder, open for writing, with its rows in memory.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(folder, OpenOptions::default())
    }

    /// The collection of a folder for reading only. It stays as it is, whatever a writer does meanwhile;
    /// [`is_stale`](Self::is_stale) tells when there is something new.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with), but for the lock.
    pub fn open_read_only(folder: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(folder, OpenOptions::default().read_only(true))
    }

    /// The collection of a folder.
    ///
    /// # Errors
    /// [`CollectionError::NotACollection`]; [`CollectionError::Locked`] if somebody else is writing to it;
    /// [`CollectionError::Damaged`], [`CollectionError::DamagedLog`] or [`CollectionError::IndexFile`] if a file is not what
    /// was written; [`CollectionError::Io`] if one can't be read.
    pub fn open_with(folder: impl AsRef<Path>, options: OpenOptions) -> Result<Self> {
        let (folder, state) = Folder::open(folder.as_ref(), options)?;
        Ok(Self::of(state, Some(folder)))
    }

    /// Whether a folder holds a collection. Only its manifest is read.
    #[must_use]
    pub fn is_collection(folder: impl AsRef<Path>) -> bool {
        folder::is_collection(folder.as_ref())
    }

    /// Writes the collection as it is to a new folder. It stays where it is itself.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        Folder::create(folder.as_ref(), &self.state, OpenOptions::default()).map(drop)
    }

    fn of(state: State, folder: Option<Folder>) -> Self {
        Self {
            state,
            folder,
            version: new_version(),
        }
    }
}

#[cfg(test)]
mod tests;
