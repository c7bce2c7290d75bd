//! Two tables: one line per iteration, one per epoch.

use std::path::Path;

use serde_json::{Value, json};

use super::epoch_scalars;
use super::growing_file::GrowingFile;
use crate::{Epoch, Flow, Hook, HookResult, Iteration, Method, Result, TrainError};

/// Writes `iterations.csv` and `epochs.csv`; the first line names the columns.
///
/// Names of parts and criteria that hold commas or quotes are quoted as in RFC 4180.
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
        if self.file.is_empty() {
            self.columns = names.collect();
            let quoted: Vec<String> = self.columns.iter().map(|name| quoted(name)).collect();
            self.file
                .append(format!("{}\n", quoted.join(",")).as_bytes())?;
        } else if let Some(name) = names.into_iter().find(|name| !self.columns.contains(name)) {
            return Err(TrainError::Column {
                path: self.file.path().to_owned(),
                name,
            });
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

    fn state(&mut self) -> Result<Value> {
        Ok(json!({"length": self.file.sync()?, "columns": self.columns}))
    }

    fn load_state(&mut self, state: &Value) -> HookResult<()> {
        self.file.rewind(state["length"].as_u64().unwrap_or(0))?;
        self.columns = serde_json::from_value(state["columns"].clone())?;
        Ok(())
    }
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

    fn finish(&mut self) -> HookResult<()> {
        self.iterations.file.sync()?;
        self.epochs.file.sync()?;
        Ok(())
    }
}
