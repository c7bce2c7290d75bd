//! The training log: a row for every iteration, from which a resumed run learns what was before.
//!
//! It is called `log.csv.part` until the run has ended, so that an interrupted one keeps its rows.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use anyhow::Context;
use dml::train::log::CsvTable;
use serde_json::Value;

use crate::outputs::Outputs;

/// What happened in one iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Iteration {
    /// Epochs count from 1.
    pub(crate) epoch: u64,
    /// Iterations of an epoch count from 0.
    pub(crate) iteration: u64,
    /// The loss of the batch, before the step.
    pub(crate) loss: f32,
    /// How many tuples were mined; without a miner, how many values the loss had.
    pub(crate) mined: u64,
    /// How many values took part in the loss.
    pub(crate) kept: u64,
    /// Seconds since training began.
    pub(crate) seconds: f64,
}

impl Iteration {
    fn from_row(row: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        Ok(Self {
            epoch: cell(row, "epoch")?,
            iteration: cell(row, "iteration")?,
            loss: cell(row, "loss")?,
            mined: cell(row, "mined")?,
            kept: cell(row, "kept")?,
            seconds: cell(row, "seconds")?,
        })
    }
}

/// The number in a column of a row.
fn cell<T: FromStr<Err: Display>>(
    row: &BTreeMap<String, String>,
    column: &str,
) -> anyhow::Result<T> {
    let text = row.get(column).map_or("", String::as_str);
    let number = text.parse().map_err(|why| anyhow::anyhow!("{why}"));
    number.with_context(|| format!("column {column}: expected a number, found {text:?}"))
}

/// The log of a run. Files in the folder stay untouched until the first row is written.
#[derive(Debug)]
pub(crate) struct IterationLog(CsvTable);

impl IterationLog {
    /// A log without rows.
    pub(crate) fn new(outputs: &Outputs) -> Self {
        Self(CsvTable::partial(outputs.path("log.csv")))
    }

    /// Continues from a state that [`state`](Self::state) returned, and returns the iterations before.
    pub(crate) fn resume(&mut self, state: &Value) -> anyhow::Result<Vec<Iteration>> {
        self.0
            .load_state(state)
            .map_err(anyhow::Error::from_boxed)?;
        let rows = self.0.rows()?.into_iter().enumerate();
        let read = |(number, row)| {
            Iteration::from_row(&row).with_context(|| format!("log.csv, row {}", number + 1))
        };
        rows.map(read).collect()
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, done: &Iteration) -> anyhow::Result<()> {
        Ok(self.0.push(&[
            ("epoch", &done.epoch),
            ("iteration", &done.iteration),
            ("loss", &done.loss),
            ("mined", &done.mined),
            ("kept", &done.kept),
            ("seconds", &format_args!("{:.3}", done.seconds)),
        ])?)
    }

    /// Brings the rows to the disk, and returns what a checkpoint keeps of the log.
    pub(crate) fn state(&mut self) -> anyhow::Result<Value> {
        Ok(self.0.state()?)
    }

    /// Ends the log: from here on it is `log.csv`.
    pub(crate) fn finish(&mut self) -> anyhow::Result<()> {
        Ok(self.0.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const HEADER: &str = "epoch,iteration,loss,mined,kept,seconds";

    fn done(iteration: u64) -> Iteration {
        Iteration {
            epoch: 1,
            iteration,
            loss: 0.1 + iteration as f32,
            mined: 10,
            kept: 5,
            seconds: 0.25,
        }
    }

    #[test]
    fn a_resumed_log_has_every_iteration_once() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let outputs = Outputs::create(folder.path())?;
        let mut log = IterationLog::new(&outputs);
        log.push(&done(0))?;
        log.push(&done(1))?;
        let state = log.state()?;
        log.push(&done(2))?;
        drop(log);
        assert!(!outputs.path("log.csv").exists());

        let mut log = IterationLog::new(&outputs);
        assert_eq!(log.resume(&state)?, [done(0), done(1)]);
        log.push(&done(2))?;
        let state = log.state()?;
        log.finish()?;
        let text = fs::read_to_string(outputs.path("log.csv"))?;
        assert_eq!(
            text,
            format!("{HEADER}\n1,0,0.1,10,5,0.250\n1,1,1.1,10,5,0.250\n1,2,2.1,10,5,0.250\n")
        );

        // A log that was whole already goes on, too.
        let mut log = IterationLog::new(&outputs);
        assert_eq!(log.resume(&state)?.len(), 3);
        log.push(&done(3))?;
        log.finish()?;
        let text = fs::read_to_string(outputs.path("log.csv"))?;
        assert_eq!(text.lines().count(), 5);
        assert!(!outputs.path("log.csv.part").exists());
        Ok(())
    }

    #[test]
    fn a_log_that_lost_rows_is_refused_and_left_alone() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let outputs = Outputs::create(folder.path())?;
        let path = outputs.path("log.csv.part");
        fs::write(&path, format!("{HEADER}\n1,0,x,0,0,0\n"))?;
        let length = fs::metadata(&path)?.len();
        let columns: Vec<&str> = HEADER.split(',').collect();
        let refused = |length: u64| {
            let state = serde_json::json!({"length": length, "columns": columns});
            let error = IterationLog::new(&outputs).resume(&state).unwrap_err();
            format!("{error:#}")
        };
        assert!(refused(length + 1).contains("log.csv.part: expected the"));
        assert!(
            refused(length).contains("log.csv, row 1: column loss: expected a number, found \"x\"")
        );
        assert_eq!(fs::metadata(&path)?.len(), length);
        Ok(())
    }
}
