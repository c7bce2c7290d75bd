//! What is in a collection.

use std::path::Path;

use candle_core::{DType, Tensor};
use dml_core::autograd::with_slice;

use super::column::Column;
use super::error::CollectionError;
use super::folder::Folder;
use super::id::{IdKind, IdRef, Ids};
use super::item::Item;
use super::items::Items;
use super::value::{Attributes, ValueKind};
use super::{Collection, Result};
use crate::index::KnnIndex;

/// An attribute of a collection.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Collection, FlatIndex, Items};
///
/// let rows = Tensor::new(&[[0f32], [3.]], &Device::Cpu)?;
/// let mut collection = Collection::new(FlatIndex::default());
/// collection.add(Items::new(["a", "b"], &rows)?.with_column("size", vec![Some(40), None])?)?;
/// let schema = collection.schema();
/// assert_eq!((&*schema[0].name, schema[0].items), ("size", 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AttributeInfo {
    /// Its name.
    pub name: String,
    /// The kind of its values.
    pub kind: ValueKind,
    /// Number of items that have a value.
    pub items: usize,
}

/// A collection at a glance.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Collection, FlatIndex, Items};
///
/// let rows = Tensor::new(&[[0f32], [3.]], &Device::Cpu)?;
/// let mut collection = Collection::new(FlatIndex::default());
/// collection.add(Items::new(["a", "b"], &rows)?.with_column("size", vec![Some(40), None])?)?;
/// let summary = collection.summary();
/// assert_eq!((summary.items, summary.dim), (2, Some(1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CollectionSummary {
    /// Number of items.
    pub items: usize,
    /// Number of rows of the index, those of removed items included.
    pub rows: usize,
    /// Coordinates of a row; `None` before there are rows.
    pub dim: Option<usize>,
    /// The index, as `{:?}` shows it.
    pub index: String,
    /// Kind of the ids; `None` before there are any.
    pub id_kind: Option<IdKind>,
    /// The attributes by name.
    pub attributes: Vec<AttributeInfo>,
    /// What is known of the folder; `None` in memory.
    pub folder: Option<FolderSummary>,
}

/// The folder of a collection at a glance.
///
/// ```
/// use dml_eval::{Collection, FlatIndex};
///
/// let folder = tempfile::tempdir()?;
/// let collection = Collection::create(folder.path().join("shop"), FlatIndex::default())?;
/// let summary = collection.summary().folder.ok_or("in memory")?;
/// assert_eq!((summary.generation, summary.compaction_error), (1, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FolderSummary {
    /// How often the folder has been written anew.
    pub generation: u64,
    /// Bytes of the index file.
    pub index_bytes: u64,
    /// Bytes of ids and attributes.
    pub items_bytes: u64,
    /// Bytes of the changes since.
    pub log_bytes: u64,
    /// Why the folder could not be written anew the last time that it was due.
    pub compaction_error: Option<String>,
}

impl Collection {
    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.slots.len()
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Coordinates of a row; `None` before there are rows.
    #[must_use]
    pub fn dim(&self) -> Option<usize> {
        self.state.index.dim()
    }

    /// The index. Its rows are those of the items in the order in which they came, those of removed items among them.
    #[must_use]
    pub fn index(&self) -> &dyn KnnIndex {
        &*self.state.index
    }

    /// The folder; `None` in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.folder.as_ref().map(Folder::path)
    }

    /// Whether there is an item of that id.
    #[must_use]
    pub fn contains<'a>(&self, id: impl Into<IdRef<'a>>) -> bool {
        self.state.slots.get(id.into()).is_some()
    }

    /// An item.
    ///
    /// # Errors
    /// [`CollectionError::Index`] if the index does not give its rows, or can't read them.
    pub fn get<'a>(&self, id: impl Into<IdRef<'a>>) -> Result<Option<Item>> {
        let id = id.into();
        let Some(slot) = self.state.slots.get(id) else {
            return Ok(None);
        };
        let row = self.state.index.rows_at(&[slot])?;
        let single = row.to_dtype(DType::F32).map_err(dml_core::Error::from)?;
        Ok(Some(Item {
            id: id.to_id(),
            row: with_slice(&single, <[f32]>::to_vec)?,
            attributes: self.state.table.attributes(slot as usize),
        }))
    }

    /// The attributes of an item; `None` if there is no such item.
    #[must_use]
    pub fn attributes<'a>(&self, id: impl Into<IdRef<'a>>) -> Option<Attributes> {
        let slot = self.state.slots.get(id.into())?;
        Some(self.state.table.attributes(slot as usize))
    }

    /// The rows of items, `[ids, dim]`, as they are compared: of length 1 for a cosine.
    ///
    /// # Errors
    /// [`CollectionError::UnknownId`] if there is no such item, [`CollectionError::Index`] if the index does not give its rows.
    pub fn rows(&self, ids: &Ids) -> Result<Tensor> {
        Ok(self.state.index.rows_at(&self.slots_of(ids)?)?)
    }

    pub(super) fn slots_of(&self, ids: &Ids) -> Result<Vec<u32>> {
        let slot = |id: IdRef<'_>| {
            let slot = self.state.slots.get(id);
            slot.ok_or_else(|| CollectionError::UnknownId { id: id.to_id() })
        };
        ids.iter().map(slot).collect()
    }

    /// The ids of all items, in the order in which they came; an item that was replaced came then.
    pub fn ids(&self) -> impl Iterator<Item = IdRef<'_>> {
        let slots = self.state.slots.live().iter();
        slots.map(|slot| self.state.slots.id(slot as usize))
    }

    /// The values of an attribute, in the order of [`ids`](Self::ids); `None` if no item has ever had it.
    #[must_use]
    pub fn column(&self, attribute: &str) -> Option<Column> {
        let slots: Vec<u32> = self.state.slots.live().iter().collect();
        Some(self.state.table.get(attribute)?.column(&slots))
    }

    /// All items, in the order of [`ids`](Self::ids) and at most `size` at a time. They can be added to another collection.
    ///
    /// # Errors
    /// Each block is an error if the index does not give its rows, or can't read them.
    pub fn blocks(&self, size: usize) -> impl Iterator<Item = Result<Items>> {
        let slots: Vec<u32> = self.state.slots.live().iter().collect();
        let size = size.max(1);
        (0..slots.len()).step_by(size).map(move |start| {
            let slots = &slots[start..(start + size).min(slots.len())];
            let ids = slots.iter().map(|slot| self.state.slots.id(*slot as usize));
            let rows = self.state.index.rows_at(slots)?;
            let mut items = Items::new(Ids::of(ids.map(IdRef::to_id))?, &rows)?;
            items.columns = self.state.table.columns(slots);
            Ok(items)
        })
    }

    /// Kind of the ids; `None` before there are any.
    #[must_use]
    pub fn id_kind(&self) -> Option<IdKind> {
        self.state.slots.kind()
    }

    /// The attributes by name.
    #[must_use]
    pub fn schema(&self) -> Vec<AttributeInfo> {
        let attributes = self.state.table.iter().map(|(name, stored)| {
            let mut present = stored.present();
            // Both have one bit a slot.
            present.intersect_with(self.state.slots.live()).ok();
            AttributeInfo {
                name: name.to_owned(),
                kind: stored.kind(),
                items: present.count(),
            }
        });
        attributes.collect()
    }

    /// The collection at a glance.
    #[must_use]
    pub fn summary(&self) -> CollectionSummary {
        let folder = self.folder.as_ref().map(|folder| {
            let [index_bytes, items_bytes, log_bytes] = folder.bytes();
            FolderSummary {
                generation: folder.generation(),
                index_bytes,
                items_bytes,
                log_bytes,
                compaction_error: folder.refusal().map(str::to_owned),
            }
        });
        CollectionSummary {
            items: self.len(),
            rows: self.state.index.len(),
            dim: self.dim(),
            index: format!("{:?}", self.state.index),
            id_kind: self.id_kind(),
            attributes: self.schema(),
            folder,
        }
    }

    /// Whether somebody else has changed the folder since this collection was opened for reading: opening it again gives
    /// something new. Always `false` of a collection that is open for writing, or in memory.
    ///
    /// # Errors
    /// [`CollectionError`] if the folder can't be read.
    pub fn is_stale(&self) -> Result<bool> {
        match &self.folder {
            None => Ok(false),
            Some(folder) => folder.is_stale(),
        }
    }
}
