//! Two CSV tables: one row per iteration, one per epoch.

use std::fmt::Display;
use std::path::Path;

use serde_json::{Value, json};

use super::{CsvTable, epoch_scalars};
use crate::{Ended, Epoch, Flow, Hook, HookResult, Iteration, Method, Result};

/// Writes `iterations.csv` and `epochs.csv` in a folder; the first line names the columns.
///
/// A name that comes later, as when another loss has its turn, gets a column at the end, which is empty before. For
/// columns of your own, write a [`CsvTable`] in a [`Hook`].
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dml_train::{MetricLossOnly, Trainer, log::CsvLog};
///
/// # let folder = tempfile::tempdir()?;
/// let method = MetricLossOnly::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?)
///     .with_hook(CsvLog::new(folder.path()))
///     .build()?;
/// trainer.run(1)?;
/// let lines = std::fs::read_to_string(folder.path().join("iterations.csv"))?;
/// assert_eq!(lines.lines().count(), 6);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CsvLog {
    iterations: CsvTable,
    epochs: CsvTable,
    every: u64,
}

impl CsvLog {
    /// Tables in `folder`.
    #[must_use]
    pub fn new(folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        Self {
            iterations: CsvTable::new(folder.join("iterations.csv")),
            epochs: CsvTable::new(folder.join("epochs.csv")),
            every: 1,
        }
    }

    dml_core::setters! {
        /// Writes every `iterations`-th iteration only. Default 1.
        pub fn every(self, iterations: u64) { self.every = iterations.max(1) }
    }
}

/// Writes a row of whole numbers and then scalars.
fn push(table: &mut CsvTable, whole: &[(&str, u64)], scalars: &[(String, f64)]) -> Result<()> {
    let whole = whole.iter().map(|(name, x)| (*name, x as &dyn Display));
    let scalars = scalars
        .iter()
        .map(|(name, x)| (name.as_str(), x as &dyn Display));
    let row: Vec<_> = whole.chain(scalars).collect();
    table.push(&row)
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
            push(&mut self.iterations, &whole, &done.scalars())?;
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
        push(&mut self.epochs, &whole, &scalars)?;
        self.iterations.flush()?;
        self.epochs.flush()?;
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
        self.iterations.finish()?;
        Ok(self.epochs.finish()?)
    }
}
