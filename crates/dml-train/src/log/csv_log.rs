//! Two tables: one line per iteration, one per epoch.

use std::path::Path;

use serde_json::{Value, json};

use super::epoch_scalars;
use super::growing_file::GrowingFile;
use crate::{Ended, Epoch, Flow, Hook, HookResult, Iteration, Method, Result};

/// Writes `iterations.csv` and `epochs.csv`; the first line names the columns.
///
/// Names of modules and criteria that hold commas or quotes are quoted as in RFC 4180. A name that comes later, as when
/// another loss has its turn, gets a column at the end, which is empty before.
#[derive(Debug)]
pub struct CsvLog {
    iterations: Table,
    epochs: Table,
    every: u64,
}

#[derive(Debug)]
struct Table {
    file: GrowingFile,
    columns: Vec<String>,
}

impl CsvLog {
    /// Tables in `folder`.
    #[must_use]
    pub fn new(folder: impl AsRef<Path>) -> Self {
        let table = |name| Table {
            file: GrowingFile::new(folder.as_ref().join(name)),
            columns: Vec::new(),
        };
        Self {
            iterations: table("iterations.csv"),
            epochs: table("epochs.csv"),
            every: 1,
        }
    }

    /// Writes every so many iterations only. Default 1.
    #[must_use]
    pub fn every(self, iterations: u64) -> Self {
        Self {
            every: iterations.max(1),
            ..self
        }
    }
}

impl Table {
    /// Writes a line of whole numbers and then scalars, each under its name.
    fn line(&mut self, whole: &[(&str, u64)], scalars: &[(String, f64)]) -> Result<()> {
        let names = whole.iter().map(|(name, _)| (*name).to_owned());
        let names = names.chain(scalars.iter().map(|(name, _)| name.clone()));
        let new: Vec<String> = names.filter(|name| !self.columns.contains(name)).collect();
        if self.file.is_empty() {
            self.columns = new;
            self.file.append(header(&self.columns).as_bytes())?;
        } else if !new.is_empty() {
            self.widen(new)?;
        }
        let cell = |column: &String| {
            let whole = whole.iter().find(|(name, _)| name == column);
            let scalar = || scalars.iter().find(|(name, _)| name == column);
            match whole {
                Some((_, value)) => value.to_string(),
                None => scalar().map_or_else(String::new, |(_, value)| value.to_string()),
            }
        };
        let cells: Vec<String> = self.columns.iter().map(cell).collect();
        self.file
            .append(format!("{}\n", cells.join(",")).as_bytes())
    }

    /// Gives the table more columns, which are empty in the lines so far.
    fn widen(&mut self, new: Vec<String>) -> Result<()> {
        let content = self.file.content()?;
        let lines = content.get(header(&self.columns).len()..).unwrap_or("");
        let empty = ",".repeat(new.len());
        self.columns.extend(new);
        let mut wider = header(&self.columns);
        for line in lines.lines() {
            wider.push_str(line);
            wider.push_str(&empty);
            wider.push('\n');
        }
        self.file.replace(&wider)
    }

    /// Takes columns off that came after the checkpoint, so that its bytes are there again. New columns are the last.
    fn narrow(&mut self, length: u64) -> Result<()> {
        let found = self.file.found()?;
        let head = header(&self.columns);
        let wider = format!("{},", head.trim_end());
        if !found.starts_with(wider.as_bytes()) {
            return Ok(());
        }
        let found = String::from_utf8_lossy(&found);
        let Some(end) = end_of_header(&found) else {
            return Ok(());
        };
        let mut narrower = head;
        for line in found[end..].lines() {
            if narrower.len() as u64 >= length {
                break;
            }
            let cells: Vec<&str> = line.split(',').take(self.columns.len()).collect();
            narrower.push_str(&cells.join(","));
            narrower.push('\n');
        }
        self.file.replace(&narrower)
    }

    fn state(&mut self) -> Result<Value> {
        Ok(json!({"length": self.file.sync()?, "columns": self.columns}))
    }

    fn load_state(&mut self, state: &Value) -> HookResult<()> {
        let length = state["length"].as_u64().unwrap_or(0);
        self.columns = serde_json::from_value(state["columns"].clone())?;
        if length > 0 {
            self.narrow(length)?;
        }
        Ok(self.file.rewind(length)?)
    }
}

/// The first line.
fn header(columns: &[String]) -> String {
    let quoted: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
    format!("{}\n", quoted.join(","))
}

/// Where the first line ends, which may hold quoted line breaks.
fn end_of_header(table: &str) -> Option<usize> {
    let mut is_quoted = false;
    for (i, byte) in table.bytes().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted => return Some(i + 1),
            _ => {}
        }
    }
    None
}

fn quoted(name: &str) -> String {
    if name.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.to_owned()
    }
}

impl Hook for CsvLog {
    fn name(&self) -> &str {
        "csv_log"
    }

    fn iteration(&mut self, done: &Iteration, _: &dyn Method) -> HookResult {
        if done.step.is_multiple_of(self.every) {
            let whole = [
                ("epoch", done.epoch),
                ("iteration", done.iteration),
                ("step", done.step),
            ];
            self.iterations.line(&whole, &done.scalars())?;
        }
        Ok(Flow::Continue)
    }

    fn epoch(&mut self, done: &Epoch, _: &dyn Method) -> HookResult {
        let mut scalars = epoch_scalars(done);
        // The columns are there from the first epoch on, whenever validation has its turn.
        for name in [
            "epoch/validation",
            "epoch/best_epoch",
            "epoch/best_validation",
        ] {
            if !scalars.iter().any(|(own, _)| own == name) {
                scalars.push((name.to_owned(), f64::NAN));
            }
        }
        scalars.sort_by(|a, b| a.0.cmp(&b.0));
        let whole = [("epoch", done.epoch), ("step", done.step)];
        self.epochs.line(&whole, &scalars)?;
        self.iterations.file.flush()?;
        self.epochs.file.flush()?;
        Ok(Flow::Continue)
    }

    fn state(&mut self) -> HookResult<Value> {
        Ok(json!({"iterations": self.iterations.state()?, "epochs": self.epochs.state()?}))
    }

    fn load_state(&mut self, state: &Value) -> HookResult<()> {
        self.iterations.load_state(&state["iterations"])?;
        self.epochs.load_state(&state["epochs"])
    }

    fn finish(&mut self, _: Ended) -> HookResult<()> {
        self.iterations.file.sync()?;
        self.epochs.file.sync()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(folder: &Path) -> Table {
        Table {
            file: GrowingFile::new(folder.join("t.csv")),
            columns: Vec::new(),
        }
    }

    fn scalars(names: &[&str]) -> Vec<(String, f64)> {
        let scalar = |name: &&str| ((*name).to_owned(), 0.5);
        names.iter().map(scalar).collect()
    }

    #[test]
    fn a_name_that_comes_later_gets_a_column() -> HookResult<()> {
        let folder = tempfile::tempdir()?;
        let text = || std::fs::read_to_string(folder.path().join("t.csv"));
        let mut whole = table(folder.path());
        whole.line(&[("step", 1)], &scalars(&["a", "b,\n"]))?;
        let state = whole.state()?;
        whole.line(&[("step", 2)], &scalars(&["a", "b,\n", "c", "d"]))?;
        whole.line(&[("step", 3)], &scalars(&["d", "b,\n"]))?;
        whole.state()?;
        let expected = "step,a,\"b,\n\",c,d\n1,0.5,0.5,,\n2,0.5,0.5,0.5,0.5\n3,,0.5,,0.5\n";
        assert_eq!(text()?, expected);
        // Taken up where the columns were fewer, and once more after nothing was written there.
        for _ in 0..2 {
            let mut again = table(folder.path());
            again.load_state(&state)?;
            again.line(&[("step", 2)], &scalars(&["a"]))?;
            again.state()?;
            assert_eq!(text()?, "step,a,\"b,\n\"\n1,0.5,0.5\n2,0.5,\n");
        }
        Ok(())
    }
}
