//! The rows of a table of images while they are read.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::cells::{Cells, JUNK};
use super::columns::ManifestConfig;
use super::entry::LEAST_BYTES;
use super::schema::{Column, Schema, Sink, wrong_columns};
use super::{Entry, Manifest, Role, whole_numbers};
use crate::{DataError, Result};

/// The lines of a table that were read so far, within a limit of memory.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    config: ManifestConfig,
    /// All columns that are read, whether the table has them or not.
    all: Schema,
    /// Those of the table.
    schema: Schema,
    entries: Vec<Entry>,
    /// The names of the classes in their order, if the table has them.
    class_names: Option<Vec<String>>,
    /// Bytes of the table itself and of what the entries hold.
    bytes: u64,
}

impl Lines {
    pub(super) fn new(path: &Path, config: &ManifestConfig) -> Result<Self> {
        let all = config.columns.schema()?;
        Ok(Self {
            path: path.to_path_buf(),
            config: config.clone(),
            schema: all.clone(),
            all,
            entries: Vec::new(),
            class_names: None,
            bytes: 0,
        })
    }

    fn check(&self) -> Result<()> {
        let places = (self.entries.len() as u64).saturating_mul(LEAST_BYTES);
        let found = self.bytes.saturating_add(places);
        let limit = self.config.memory_limit;
        if found > limit {
            return Err(DataError::TooLarge {
                file: self.path.clone(),
                limit,
                found,
            });
        }
        Ok(())
    }

    /// Takes a line that stands for a sample of an archive, whose paths are those of the archive.
    pub(super) fn take_sample(&mut self, archive: &Path, line: u64, cells: Cells) -> Result<()> {
        let unlabelled = self.config.allow_unlabelled;
        let entry = cells.entry(archive, archive, line, &self.all, unlabelled)?;
        self.push(entry)
    }

    fn push(&mut self, entry: Entry) -> Result<()> {
        self.bytes = self.bytes.saturating_add(entry.heap());
        self.entries.push(entry);
        self.check()
    }

    /// The table, once all lines are there.
    pub(super) fn finish(mut self) -> Result<Manifest> {
        for entry in &mut self.entries {
            if entry.role == Some(Role::Gallery) && entry.label == JUNK {
                entry.role = Some(Role::Junk);
            }
        }
        match self.class_names {
            None => Manifest::new(self.path, self.entries),
            Some(mut names) => {
                // Classes of another column come behind those that have an order.
                let known: HashSet<&str> = names.iter().map(String::as_str).collect();
                let with_class = self.entries.iter().filter(|entry| !entry.is_junk());
                let classes = with_class.flat_map(Entry::classes);
                let others: BTreeSet<&str> = classes.filter(|name| !known.contains(name)).collect();
                let others: Vec<String> = others.into_iter().map(str::to_owned).collect();
                names.extend(others);
                Manifest::with_classes(self.path, self.entries, names)
            }
        }
    }
}

impl Sink for Lines {
    fn header(&mut self, names: &[&str], images: bool) -> Result<()> {
        self.schema.of_table(&self.path, names, images)?;
        let fault = |column: Column| {
            let name = self.all.name(column);
            wrong_columns(&self.path, names, name, "a column of that name")
        };
        if !self
            .schema
            .has(&[Column::Path, Column::Image, Column::Text])
        {
            return Err(fault(Column::Path));
        }
        let has_labels = self.schema.has(&[Column::Label, Column::Labels]);
        if !has_labels && !self.config.allow_unlabelled {
            return Err(fault(Column::Label));
        }
        Ok(())
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn separator(&self) -> char {
        self.config.separator
    }

    fn memory_limit(&self) -> u64 {
        self.config.memory_limit
    }

    #[cfg(feature = "parquet")]
    fn class_names(&mut self, names: Vec<String>) {
        self.class_names = Some(names);
    }

    fn held(&mut self, bytes: u64) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.check()
    }

    fn unify_numbers(&mut self) {
        whole_numbers::unify(&mut self.entries);
    }

    fn take(&mut self, line: u64, cells: Cells) -> Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let unlabelled = self.config.allow_unlabelled;
        let entry = cells.entry(&self.path, folder, line, &self.all, unlabelled)?;
        self.push(entry)
    }
}
