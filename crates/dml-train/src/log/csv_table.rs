//! A CSV file that grows row by row, and can be cut back to an earlier point of a run.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::growing_file::GrowingFile;
use crate::{HookResult, Result};

/// A CSV table in a file, as RFC 4180 has it: the first line names the columns.
///
/// A column that comes later is added at the end, and is empty in the rows before. With [`state`](CsvTable::state) and
/// [`load_state`](CsvTable::load_state) in a [`Hook`](crate::Hook), a resumed run has every row once.
///
/// ```
/// use dml_train::log::CsvTable;
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("log.csv");
/// let mut table = CsvTable::new(&path);
/// table.push(&[("step", &1), ("loss", &0.5)])?;
/// let state = table.state()?;
/// table.push(&[("step", &2), ("loss", &0.25), ("note", &"a, b")])?;
/// table.finish()?;
/// assert_eq!(std::fs::read_to_string(&path)?, "step,loss,note\n1,0.5,\n2,0.25,\"a, b\"\n");
///
/// // The run is resumed from where the state was taken.
/// let mut table = CsvTable::new(&path);
/// table.load_state(&state)?;
/// assert_eq!(table.rows()?[0]["loss"], "0.5");
/// table.push(&[("step", &2), ("loss", &0.3)])?;
/// table.finish()?;
/// assert_eq!(std::fs::read_to_string(&path)?, "step,loss\n1,0.5\n2,0.3\n");
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Debug)]
pub struct CsvTable {
    file: GrowingFile,
    columns: Vec<String>,
}

impl CsvTable {
    /// A table in the file at `path`. A file that is there is replaced by the first row, unless
    /// [`load_state`](CsvTable::load_state) continues it.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            file: GrowingFile::new(path),
            columns: Vec::new(),
        }
    }

    /// A table whose file is called `PATH.part` until [`finish`](CsvTable::finish).
    #[must_use]
    pub fn partial(path: impl Into<PathBuf>) -> Self {
        Self {
            file: GrowingFile::partial(path),
            columns: Vec::new(),
        }
    }

    /// Writes a row of cells, each with the name of its column.
    ///
    /// # Errors
    /// [`TrainError::Io`](crate::TrainError::Io) if the file can't be written.
    pub fn push(&mut self, row: &[(&str, &dyn Display)]) -> Result<()> {
        let is_new = |name: &&str| !self.columns.iter().any(|column| column == name);
        let names = row.iter().map(|(name, _)| *name);
        let new: Vec<String> = names.filter(is_new).map(str::to_owned).collect();
        if self.file.is_empty() {
            self.columns = new;
            self.file.append(&line(&self.columns))?;
        } else if !new.is_empty() {
            self.widen(new)?;
        }
        let cell = |column: &String| {
            let cell = row.iter().find(|(name, _)| name == column);
            cell.map_or_else(String::new, |(_, value)| value.to_string())
        };
        let cells: Vec<String> = self.columns.iter().map(cell).collect();
        self.file.append(&line(&cells))
    }

    /// The rows so far, each as cells by column.
    ///
    /// # Errors
    /// [`TrainError::Io`](crate::TrainError::Io) if the file can't be read,
    /// [`TrainError::Damaged`](crate::TrainError::Damaged) if it holds no text.
    pub fn rows(&mut self) -> Result<Vec<BTreeMap<String, String>>> {
        let content = self.file.content()?;
        let by_column = |row: csv::StringRecord| {
            let cells = row.iter().map(str::to_owned);
            self.columns.iter().cloned().zip(cells).collect()
        };
        Ok(records(content.as_bytes()).map(by_column).collect())
    }

    /// Makes the rows so far visible to other programs.
    ///
    /// # Errors
    /// As [`push`](CsvTable::push).
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }

    /// Brings the rows so far to the disk, and gives the file its name.
    ///
    /// # Errors
    /// As [`push`](CsvTable::push).
    pub fn finish(&mut self) -> Result<()> {
        self.file.finish()
    }

    /// Brings the rows so far to the disk, and returns what a checkpoint keeps of the table.
    ///
    /// # Errors
    /// As [`push`](CsvTable::push).
    pub fn state(&mut self) -> Result<Value> {
        Ok(json!({"length": self.file.sync()?, "columns": self.columns}))
    }

    /// Continues with the rows that were there when [`state`](CsvTable::state) was called.
    ///
    /// # Errors
    /// [`TrainError::Io`](crate::TrainError::Io) and [`TrainError::Damaged`](crate::TrainError::Damaged) if the file
    /// does not hold these rows any more.
    pub fn load_state(&mut self, state: &Value) -> HookResult<()> {
        let length = state["length"].as_u64().unwrap_or(0);
        self.columns = serde_json::from_value(state["columns"].clone())?;
        if length > 0 {
            self.narrow(length)?;
        }
        Ok(self.file.rewind(length)?)
    }

    /// Adds columns, which are empty in the rows so far.
    fn widen(&mut self, new: Vec<String>) -> Result<()> {
        let table = self.file.content()?;
        self.columns.extend(new);
        self.rewrite(table.as_bytes(), u64::MAX)
    }

    /// Removes columns that came after the checkpoint, so that the file has its first `length` bytes again. New columns
    /// are the last.
    fn narrow(&mut self, length: u64) -> Result<()> {
        let found = self.file.found()?;
        let mut wider = line(&self.columns);
        wider.pop();
        wider.push(b',');
        if !found.starts_with(&wider) {
            return Ok(());
        }
        self.rewrite(&found, length)
    }

    /// Replaces the file by the rows of a table in the columns as they are now, until it has `length` bytes.
    fn rewrite(&mut self, table: &[u8], length: u64) -> Result<()> {
        let mut new = line(&self.columns);
        for row in records(table) {
            if new.len() as u64 >= length {
                break;
            }
            let cells = row.iter().chain(std::iter::repeat(""));
            new.extend(line(cells.take(self.columns.len())));
        }
        self.file.replace(&new)
    }
}

/// A record with its line break.
fn line<T: AsRef<[u8]>>(cells: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut line = csv::WriterBuilder::new().from_writer(Vec::new());
    line.write_record(cells).ok();
    // Memory can always be written to.
    line.into_inner().unwrap_or_default()
}

/// The records of a table below its header.
fn records(table: &[u8]) -> impl Iterator<Item = csv::StringRecord> {
    let reader = csv::ReaderBuilder::new().flexible(true).from_reader(table);
    reader.into_records().map_while(std::result::Result::ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_comes_later_gets_a_column() -> HookResult<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("t.csv");
        let text = || std::fs::read_to_string(&path);
        let mut whole = CsvTable::new(&path);
        whole.push(&[("step", &1), ("a", &0.5), ("b,\n", &0.5)])?;
        let state = whole.state()?;
        whole.push(&[
            ("step", &2),
            ("a", &0.5),
            ("b,\n", &0.5),
            ("c", &0.5),
            ("d", &0.5),
        ])?;
        whole.push(&[("step", &3), ("d", &0.5), ("b,\n", &0.5)])?;
        whole.state()?;
        let expected = "step,a,\"b,\n\",c,d\n1,0.5,0.5,,\n2,0.5,0.5,0.5,0.5\n3,,0.5,,0.5\n";
        assert_eq!(text()?, expected);
        // Taken up where the columns were fewer, and once more after nothing was written there.
        for _ in 0..2 {
            let mut again = CsvTable::new(&path);
            again.load_state(&state)?;
            again.push(&[("step", &2), ("a", &0.5)])?;
            again.state()?;
            assert_eq!(text()?, "step,a,\"b,\n\"\n1,0.5,0.5\n2,0.5,\n");
        }
        Ok(())
    }

    #[test]
    fn cells_come_back_as_they_were_written() -> HookResult<()> {
        let folder = tempfile::tempdir()?;
        let mut table = CsvTable::new(folder.path().join("t.csv"));
        assert!(table.rows()?.is_empty());
        let cells = ["1,5", "a \"word\"", "two\nlines", ""];
        for cell in cells {
            table.push(&[("n", &7), ("cell", &cell)])?;
        }
        let rows = table.rows()?;
        assert!(rows.iter().map(|row| row["cell"].as_str()).eq(cells));
        assert!(rows.iter().all(|row| row["n"] == "7"));
        Ok(())
    }

    #[test]
    fn a_partial_table_has_its_name_when_it_is_finished() -> HookResult<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("t.csv");
        let part = folder.path().join("t.csv.part");
        let mut table = CsvTable::partial(&path);
        table.push(&[("n", &1)])?;
        let state = table.state()?;
        table.push(&[("n", &2)])?;
        drop(table);
        assert!(part.exists() && !path.exists());
        for last in [3, 4] {
            // First from the part, then from the finished table.
            let mut table = CsvTable::partial(&path);
            table.load_state(&state)?;
            assert_eq!(table.rows()?.len(), 1);
            table.push(&[("n", &last)])?;
            table.finish()?;
            assert_eq!(std::fs::read_to_string(&path)?, format!("n\n1\n{last}\n"));
            assert!(!part.exists());
        }
        Ok(())
    }
}
