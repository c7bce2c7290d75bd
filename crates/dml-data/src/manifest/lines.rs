//! The rows of a table while they are read.

use std::collections::BTreeSet;
use std::path::Path;

use super::cells::{Cells, JUNK};
use super::entry::LEAST_BYTES;
use super::{Entry, Manifest, Role};
use crate::{ClassOrder, DataError, Result};

/// The lines of a table that were read so far, within a limit of memory.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    path: &'a Path,
    pub(super) entries: Vec<Entry>,
    /// Bytes of the table itself and of what the entries hold.
    bytes: u64,
    limit: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(path: &'a Path, bytes: usize, limit: u64) -> Self {
        Self {
            path,
            entries: Vec::new(),
            bytes: bytes as u64,
            limit,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let places = (self.entries.len() as u64).saturating_mul(LEAST_BYTES);
        let found = self.bytes.saturating_add(places);
        if found > self.limit {
            return Err(DataError::TooLarge {
                file: self.path.to_path_buf(),
                limit: self.limit,
                found,
            });
        }
        Ok(())
    }

    pub(super) fn take(&mut self, line: u64, cells: Cells) -> Result<()> {
        let entry = cells.entry(self.path, line)?;
        self.bytes = self.bytes.saturating_add(entry.heap());
        self.entries.push(entry);
        self.check()
    }

    /// The table, once all lines are there.
    pub(super) fn finish(mut self) -> Result<Manifest> {
        if self.entries.is_empty() {
            return Err(DataError::NoImages {
                path: self.path.to_path_buf(),
                kind: "one a line",
            });
        }
        for entry in &mut self.entries {
            if entry.role == Some(Role::Gallery) && entry.label == JUNK {
                entry.role = Some(Role::Junk);
            }
        }
        let classes = self.entries.iter().filter(|entry| !entry.is_junk());
        let classes: BTreeSet<&str> = classes.map(|entry| &*entry.label).collect();
        let cameras = self.entries.iter().filter_map(|e| e.camera.as_deref());
        let cameras: BTreeSet<&str> = cameras.collect();
        Ok(Manifest {
            path: self.path.into(),
            class_names: classes.into_iter().map(str::to_owned).collect(),
            camera_names: cameras.into_iter().map(str::to_owned).collect(),
            order: ClassOrder::Name,
            entries: self.entries.into(),
        })
    }
}
