//! How the folder of a collection is opened.

use std::path::Path;
use std::sync::Arc;

use super::log::{DamagedLog, Durability};
use crate::index::{FileCheck, IndexFileError, KnnIndex, load_index, load_index_mapped};

/// Where the rows of an open collection are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Storage {
    /// In memory.
    #[default]
    Memory,
    /// In the index file, which is mapped: an index may be larger than memory. For flat and quantized indexes. Rows that were
    /// added since the last compaction, codes, ids and attributes are in memory.
    Mapped,
}

type Loader = dyn Fn(&Path) -> Result<Box<dyn KnnIndex>, IndexFileError> + Send + Sync;

/// How the folder of a [`Collection`](crate::Collection) is opened.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Collection, FlatIndex, Items, OpenOptions, Storage};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("shop");
/// let rows = Tensor::new(&[[1f32, 0.], [0., 1.]], &Device::Cpu)?;
/// Collection::create(&path, FlatIndex::default())?.add(Items::new(["a", "b"], &rows)?)?;
/// let options = OpenOptions::default().read_only(true).storage(Storage::Mapped);
/// assert_eq!(Collection::open_with(&path, options)?.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct OpenOptions {
    is_read_only: bool,
    storage: Storage,
    durability: Durability,
    file_check: FileCheck,
    damaged_log: DamagedLog,
    compacts_by_hand: bool,
    loader: Option<Arc<Loader>>,
}

dml_core::debug_fields!(OpenOptions, |own| {
    is_read_only: own.is_read_only, storage: own.storage, durability: own.durability,
    file_check: own.file_check, damaged_log: own.damaged_log,
});

impl OpenOptions {
    /// Whether the collection is opened for reading only: it takes no lock and writes nothing. Default `false`.
    #[must_use]
    pub fn read_only(mut self, is_read_only: bool) -> Self {
        self.is_read_only = is_read_only;
        self
    }

    /// Where rows are. Default: in memory.
    #[must_use]
    pub fn storage(mut self, storage: Storage) -> Self {
        self.storage = storage;
        self
    }

    /// When changes reach the disk. Default: before the call that makes one returns.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// When the checksums of a mapped index file are compared. Default: before the collection is used.
    #[must_use]
    pub fn file_check(mut self, file_check: FileCheck) -> Self {
        self.file_check = file_check;
        self
    }

    /// What to do where changes are damaged and intact ones follow. Default: the collection is not opened.
    #[must_use]
    pub fn damaged_log(mut self, damaged_log: DamagedLog) -> Self {
        self.damaged_log = damaged_log;
        self
    }

    /// Whether a change rewrites the folder when its log has become larger than the rest. Default `true`; otherwise only
    /// [`Collection::compact`](crate::Collection::compact) does.
    #[must_use]
    pub fn automatic_compaction(mut self, is_automatic: bool) -> Self {
        self.compacts_by_hand = !is_automatic;
        self
    }

    /// Reads the index file in place of [`load_index`]: for an index that needs more than its file, such as the distance of a
    /// [`CustomKNN`](crate::CustomKNN). [`storage`](Self::storage) and [`file_check`](Self::file_check) are up to it.
    ///
    /// ```
    /// use dml_eval::{FlatIndex, FlatMetric, KnnIndex, OpenOptions};
    ///
    /// let options = OpenOptions::default().index_loader(|path| {
    ///     let mut index = FlatIndex::new(FlatMetric::Cosine);
    ///     index.load(path)?;
    ///     Ok(Box::new(index))
    /// });
    /// # drop(options);
    /// ```
    #[must_use]
    pub fn index_loader(
        mut self,
        loader: impl Fn(&Path) -> Result<Box<dyn KnnIndex>, IndexFileError> + Send + Sync + 'static,
    ) -> Self {
        self.loader = Some(Arc::new(loader));
        self
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    pub(super) fn get_storage(&self) -> Storage {
        self.storage
    }

    pub(super) fn get_durability(&self) -> Durability {
        self.durability
    }

    pub(super) fn get_damaged_log(&self) -> DamagedLog {
        self.damaged_log
    }

    pub(super) fn compacts_automatically(&self) -> bool {
        !self.compacts_by_hand
    }

    /// The index of a file.
    pub(super) fn load(&self, path: &Path) -> Result<Box<dyn KnnIndex>, IndexFileError> {
        match (&self.loader, self.storage) {
            (Some(loader), _) => loader(path),
            (None, Storage::Memory) => load_index(path),
            (None, Storage::Mapped) => load_index_mapped(path, self.file_check),
        }
    }
}
