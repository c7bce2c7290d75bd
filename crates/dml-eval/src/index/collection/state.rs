//! Index, ids and attributes together.

use candle_core::Tensor;

use super::column::Column;
use super::error::CollectionError;
use super::folder::Change;
use super::id::Ids;
use super::slots::Slots;
use super::table::Table;
use crate::index::KnnIndex;

/// What a collection is made of. Row r of the index, slot r, and value r of every column belong together.
pub(super) struct State {
    pub(super) index: Box<dyn KnnIndex>,
    pub(super) slots: Slots,
    pub(super) table: Table,
}

impl State {
    /// State of an index whose rows have no ids yet.
    pub(super) fn new(index: Box<dyn KnnIndex>) -> Self {
        Self {
            index,
            slots: Slots::new(),
            table: Table::default(),
        }
    }

    /// Gives the next rows of the index their ids and attributes, which have been checked; returns how many items they
    /// replace.
    pub(super) fn put_items(&mut self, ids: &Ids, columns: &[(String, Column)]) -> usize {
        self.table.append(ids.len(), columns);
        self.slots.append(ids)
    }

    /// Takes items out; returns how many were there.
    pub(super) fn remove(&mut self, ids: &Ids) -> usize {
        ids.iter().filter(|id| self.slots.remove(*id)).count()
    }

    /// Takes the rows of empty slots out of everything.
    pub(super) fn compact(&mut self) -> Result<(), CollectionError> {
        if self.slots.len() == self.slots.slots() {
            return Ok(());
        }
        if self.slots.len() == 0 {
            self.index = self.index.to_empty();
        } else {
            self.index.remove(&self.slots.empty())?;
        }
        self.compact_items();
        Ok(())
    }

    /// Takes an index that has the rows of the items alone.
    pub(super) fn replace_index(&mut self, index: Box<dyn KnnIndex>) {
        self.index = index;
        self.compact_items();
    }

    fn compact_items(&mut self) {
        self.table.retain(self.slots.live());
        self.slots.compact();
    }
}

/// Rows that are added to the index at a time when changes are replayed.
const ROWS: usize = 1 << 14;

/// Changes of a log on their way into a state.
pub(super) struct Replay<'a> {
    state: &'a mut State,
    /// Rows that the index does not have yet.
    pending: Vec<Tensor>,
    rows: usize,
}

impl<'a> Replay<'a> {
    pub(super) fn new(state: &'a mut State) -> Self {
        Self {
            state,
            pending: Vec::new(),
            rows: 0,
        }
    }

    pub(super) fn take(&mut self, change: Change) -> Result<(), CollectionError> {
        let state = &mut *self.state;
        match change {
            Change::Put { ids, columns, rows } => {
                state.slots.check_kind(&ids)?;
                let columns = state.table.fitted(columns)?;
                state.put_items(&ids, &columns);
                self.rows += ids.len();
                if !ids.is_empty() {
                    self.pending.push(rows);
                }
                if self.rows >= ROWS {
                    self.add_rows()?;
                }
            }
            Change::Remove(ids) => {
                state.remove(&ids);
                if state.slots.len() == 0 {
                    // What comes next may be of another width and kind, as it was when the change was made.
                    self.add_rows()?;
                    self.state.compact()?;
                }
            }
            Change::Attributes { id, columns } => {
                let columns = state.table.fitted(columns)?;
                let slot = id.get(0).and_then(|id| state.slots.get(id));
                if let Some(slot) = slot {
                    state.table.replace(slot as usize, &columns);
                }
            }
        }
        Ok(())
    }

    fn add_rows(&mut self) -> Result<(), CollectionError> {
        if !self.pending.is_empty() {
            let rows = Tensor::cat(&self.pending, 0).map_err(dml_core::Error::from)?;
            self.state.index.add(&rows)?;
            self.pending.clear();
            self.rows = 0;
        }
        Ok(())
    }

    /// Adds what is pending.
    pub(super) fn finish(mut self) -> Result<(), CollectionError> {
        self.add_rows()
    }
}
