//! Items that come, change and go.
//!
//! A change is checked, then its rows are added to the index, then it is written to the log, and then its items are there. What
//! fails on the way is taken back.

use candle_core::{DType, Device, Tensor};

use super::error::CollectionError;
use super::folder::{Change, Folder};
use super::id::{Id, IdRef, Ids};
use super::items::Items;
use super::value::Attributes;
use super::{Collection, Result, new_version};

/// What an [`upsert`](Collection::upsert) has done.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Collection, FlatIndex, Items};
///
/// let rows = Tensor::new(&[[0f32], [3.]], &Device::Cpu)?;
/// let mut collection = Collection::new(FlatIndex::default());
/// collection.add(Items::new(["a", "b"], &rows)?.with_column("size", vec![Some(40), None])?)?;
/// let row = Tensor::new(&[[1f32]], &Device::Cpu)?;
/// assert_eq!(collection.upsert(Items::new(["b"], &row)?)?.replaced, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upserted {
    /// Number of items that were not there before.
    pub added: usize,
    /// Number of items that have taken the place of others.
    pub replaced: usize,
}

impl Collection {
    /// Adds new items.
    ///
    /// # Errors
    /// [`CollectionError::DuplicateId`] if an item of an id is there; [`CollectionError::IdKind`],
    /// [`CollectionError::AttributeKind`] or [`CollectionError::TooManyAttributes`] for ids and attributes that do not fit
    /// those that are there; [`CollectionError::Index`] for rows that the index refuses; [`CollectionError::ReadOnly`],
    /// [`CollectionError::Io`] or [`CollectionError::Broken`] if the change can't be written. Nothing is added then.
    pub fn add(&mut self, items: Items) -> Result<()> {
        let there = |id: &IdRef<'_>| self.state.slots.get(*id).is_some();
        if let Some(id) = items.ids.iter().find(there) {
            return Err(CollectionError::DuplicateId { id: id.to_id() });
        }
        self.upsert(items).map(drop)
    }

    /// Adds items, in the place of those of the same ids: rows and all attributes are replaced.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_eval::{Collection, FlatIndex, Items};
    ///
    /// let row = |x: f32| Tensor::new(&[[x]], &Device::Cpu);
    /// let mut collection = Collection::new(FlatIndex::default());
    /// collection.add(Items::new(["a"], &row(1.0)?)?.with_column("size", vec![40])?)?;
    /// let done = collection.upsert(Items::new(["a"], &row(2.0)?)?)?;
    /// assert_eq!((done.added, done.replaced), (0, 1));
    /// let item = collection.get("a")?.unwrap();
    /// assert_eq!((item.row, item.attributes.len()), (vec![2.0], 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`add`](Self::add), but for ids that are there.
    pub fn upsert(&mut self, items: Items) -> Result<Upserted> {
        self.check_writable()?;
        let Items { ids, rows, columns } = items;
        self.state.slots.check_kind(&ids)?;
        let columns = self.state.table.fitted(columns)?;
        let rows = as_logged(&rows)?;
        // Rows that are none are checked as well.
        self.state.index.add(&rows)?;
        if ids.is_empty() {
            return Ok(Upserted {
                added: 0,
                replaced: 0,
            });
        }
        let change = Change::Put { ids, columns, rows };
        if let Some(folder) = &mut self.folder
            && let Err(error) = folder.append(&change)
        {
            let first = self.state.slots.slots() as u32;
            let new: Vec<u32> = (first..self.state.index.len() as u32).collect();
            self.state.index.remove(&new)?;
            return Err(error);
        }
        let Change::Put { ids, columns, .. } = change else {
            unreachable!("it was made above");
        };
        let replaced = self.state.put_items(&ids, &columns);
        self.changed();
        Ok(Upserted {
            added: ids.len() - replaced,
            replaced,
        })
    }

    /// Takes items out; returns how many were there. Ids without an item are passed over.
    ///
    /// # Errors
    /// [`CollectionError::IdLength`] for a text that can't be an id; [`CollectionError::ReadOnly`], [`CollectionError::Io`] or
    /// [`CollectionError::Broken`] if the change can't be written. Nothing is removed then.
    pub fn remove(&mut self, ids: &Ids) -> Result<usize> {
        self.check_writable()?;
        ids.check()?;
        let mut there = ids.iter();
        if !there.any(|id| self.state.slots.get(id).is_some()) {
            return Ok(0);
        }
        if let Some(folder) = &mut self.folder {
            folder.append(&Change::Remove(ids.clone()))?;
        }
        let removed = self.state.remove(ids);
        self.changed();
        Ok(removed)
    }

    /// Replaces all attributes of an item; its row stays.
    ///
    /// # Errors
    /// [`CollectionError::UnknownId`] if there is no such item, else as [`add`](Self::add).
    pub fn set_attributes(&mut self, id: impl Into<Id>, attributes: Attributes) -> Result<()> {
        self.check_writable()?;
        let id = id.into();
        let Some(slot) = self.state.slots.get(id.as_ref()) else {
            return Err(CollectionError::UnknownId { id });
        };
        // As the attributes of an item that comes, which are checked.
        let row = Tensor::zeros((1, 1), DType::F32, &Device::Cpu).map_err(dml_core::Error::from)?;
        let item = Items::new(id, &row)?.with_attributes([attributes])?;
        let columns = self.state.table.fitted(item.columns)?;
        let change = Change::Attributes {
            id: item.ids,
            columns,
        };
        if let Some(folder) = &mut self.folder {
            folder.append(&change)?;
        }
        if let Change::Attributes { columns, .. } = change {
            self.state.table.replace(slot as usize, &columns);
        }
        self.changed();
        Ok(())
    }

    /// Brings all changes to the disk: they are there already unless the collection was opened with
    /// [`Durability::OnFlush`](super::Durability::OnFlush).
    ///
    /// # Errors
    /// [`CollectionError::Io`] if they can't be written.
    pub fn flush(&mut self) -> Result<()> {
        match &mut self.folder {
            None => Ok(()),
            Some(folder) => folder.flush(),
        }
    }

    /// Takes the rows of removed items out of the index, and writes the folder anew with an empty log. Selections and rows of
    /// hits are void afterwards. Changes do the same from time to time; see the [module](super).
    ///
    /// # Errors
    /// [`CollectionError::Index`] if the index can't remove rows; [`CollectionError::ReadOnly`], [`CollectionError::Io`] or
    /// [`CollectionError::IndexFile`] if the folder can't be written: it holds what it held then.
    pub fn compact(&mut self) -> Result<()> {
        self.version = new_version();
        match &mut self.folder {
            None => self.state.compact(),
            Some(folder) => folder.compact(&mut self.state),
        }
    }

    fn check_writable(&mut self) -> Result<()> {
        match &mut self.folder {
            None => Ok(()),
            Some(folder) => folder.check_writable(),
        }
    }

    /// Called after every change.
    fn changed(&mut self) {
        self.version = new_version();
        let is_sparse = self.state.slots.are_sparse();
        let is_mapped = self.folder.as_ref().is_some_and(Folder::is_mapped);
        if is_sparse && (!is_mapped || self.state.slots.len() == 0) {
            // Rows that can't be removed are passed over by searches, as before.
            self.state.compact().ok();
        }
        if let Some(folder) = &mut self.folder {
            folder.compact_if_due(&mut self.state, is_sparse && is_mapped);
        }
    }
}

/// Rows as the log has them: of single or double precision, on the CPU.
fn as_logged(rows: &Tensor) -> Result<Tensor> {
    let rows = match rows.dtype() {
        DType::F32 | DType::F64 => rows.to_device(&Device::Cpu),
        DType::F16 | DType::BF16 => rows
            .to_device(&Device::Cpu)
            .and_then(|rows| rows.to_dtype(DType::F32)),
        // The index refuses them.
        _ => Ok(rows.clone()),
    };
    Ok(rows.map_err(dml_core::Error::from)?)
}
