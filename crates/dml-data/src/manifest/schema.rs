//! What the columns of a table hold.

use std::path::Path;

use super::cells::Cells;
use crate::error::shortened;
use crate::{DataError, Result};

/// The column of paths in the tables that Hugging Face's image folders come with.
const FILE_NAME: &str = "file_name";
/// The column of paths in all others.
const PATH: &str = "path";

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Path,
    Image,
    Label,
    Labels,
    Split,
    Role,
    Camera,
    Sequence,
    Category,
    Box,
    Text,
    First,
    Second,
    Negatives,
    Same,
    Score,
    Fold,
}

impl Column {
    /// Number of columns.
    pub(crate) const COUNT: usize = Self::Fold as usize + 1;

    /// Whether its cells may be lists, which only Parquet has.
    #[cfg(feature = "parquet")]
    pub(crate) fn takes_lists(self) -> bool {
        matches!(self, Self::Labels | Self::Box | Self::Negatives)
    }

    /// Whether its numbers may have fractions. Names are never fractions.
    pub(crate) fn takes_fractions(self) -> bool {
        matches!(self, Self::Box | Self::Score)
    }

    /// Whether its cells may have several lines. In a name or path they come from a quote that closes too late.
    pub(crate) fn takes_lines(self) -> bool {
        matches!(
            self,
            Self::Text | Self::First | Self::Second | Self::Negatives
        )
    }
}

/// The columns of a table and their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schema(Vec<(Column, String)>);

impl Schema {
    /// Columns under these names.
    ///
    /// # Errors
    /// For names that are empty, have blanks around them, or stand for two columns.
    pub(crate) fn new(columns: &[(Column, &str)]) -> dml_core::Result<Self> {
        for (i, (_, name)) in columns.iter().enumerate() {
            let is_new = columns[..i].iter().all(|(_, other)| other != name);
            let expected = "names of columns that are not empty and differ from each other";
            let fits = is_new && !name.is_empty() && name.trim() == *name;
            dml_core::check::whole(fits, "columns", i, expected)?;
        }
        let own = columns
            .iter()
            .map(|(column, name)| (*column, (*name).to_owned()));
        Ok(Self(own.collect()))
    }

    /// The name of a column; empty for one that isn't read.
    pub(crate) fn name(&self, column: Column) -> &str {
        let own = self.0.iter().find(|(own, _)| *own == column);
        own.map_or("", |(_, name)| name)
    }

    /// What the column of that name holds; `None` for one that is passed over.
    pub(crate) fn column(&self, name: &str) -> Option<Column> {
        let name = name.trim();
        let own = self.0.iter().find(|(_, own)| own == name);
        own.map(|(column, _)| *column)
    }

    /// The same, or the path under the name that Hugging Face's image folders have it by, and whether it is that name.
    pub(crate) fn column_or_alias(&self, name: &str) -> Option<(Column, bool)> {
        let alias = || {
            let is_alias = self.name(Column::Path) == PATH && name.trim() == FILE_NAME;
            is_alias.then_some((Column::Path, true))
        };
        self.column(name).map(|own| (own, false)).or_else(alias)
    }

    /// Takes the names that a table has, and refuses one that has a column twice. Only the columns that it has are left;
    /// an image may stand in the table itself if `images` says so.
    pub(crate) fn of_table(&mut self, table: &Path, names: &[&str], images: bool) -> Result<()> {
        let is_there = |name: &str| names.iter().any(|own| own.trim() == name);
        for (column, name) in &mut self.0 {
            let is_alias = *column == Column::Path && name == PATH && !is_there(PATH);
            if is_alias && is_there(FILE_NAME) {
                FILE_NAME.clone_into(name);
            }
        }
        self.0
            .retain(|(column, _)| images || *column != Column::Image);
        for (_, name) in &self.0 {
            if names.iter().filter(|own| own.trim() == name).count() > 1 {
                return Err(wrong_columns(table, names, name, "one column of that name"));
            }
        }
        self.0.retain(|(_, name)| is_there(name));
        Ok(())
    }

    /// Whether one of the columns is there.
    pub(crate) fn has(&self, columns: &[Column]) -> bool {
        self.0.iter().any(|(own, _)| columns.contains(own))
    }
}

/// A table whose columns are not those that it needs.
pub(crate) fn wrong_columns(
    table: &Path,
    names: &[&str],
    column: &str,
    expected: &'static str,
) -> DataError {
    let names: Vec<&str> = names.iter().map(|name| name.trim()).collect();
    let found = format!("the columns {}", shortened(&names.join(", ")));
    DataError::table(table, 1, column, expected, found)
}

/// What the lines of a table are handed to.
pub(crate) trait Sink {
    /// Takes the names of the columns, before any line; an image may stand in the table itself if `images` says so.
    fn header(&mut self, names: &[&str], images: bool) -> Result<()>;

    /// The columns that are read.
    fn schema(&self) -> &Schema;

    /// What stands between the elements of a cell of text.
    fn separator(&self) -> char;

    /// Most bytes of memory that the table may take.
    fn memory_limit(&self) -> u64;

    /// Counts bytes that are held while the table is read.
    fn held(&mut self, bytes: u64) -> Result<()>;

    /// Reads whole numbers that are written as real ones as whole ones, once all lines are there.
    fn unify_numbers(&mut self) {}

    /// Takes the names of the classes in their order, where a table has them.
    #[cfg(feature = "parquet")]
    fn class_names(&mut self, names: Vec<String>);

    /// Takes the line of that number.
    fn take(&mut self, line: u64, cells: Cells) -> Result<()>;
}
