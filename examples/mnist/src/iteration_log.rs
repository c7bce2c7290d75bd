//! The training log: a line for every iteration, from which a resumed run learns what was before.
//!
//! It is called `log.csv.part` until the run has ended, so that an interrupted one keeps its lines.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, bail};
use dml::core::durable;

use crate::outputs::Outputs;

const HEADER: &str = "epoch,iteration,loss,mined,kept,seconds";

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
    fn line(&self) -> String {
        let Self {
            epoch,
            iteration,
            loss,
            mined,
            kept,
            seconds,
        } = self;
        format!("{epoch},{iteration},{loss},{mined},{kept},{seconds:.3}")
    }
}

impl FromStr for Iteration {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> anyhow::Result<Self> {
        let cells: Vec<&str> = line.split(',').collect();
        let [epoch, iteration, loss, mined, kept, seconds] = cells[..] else {
            bail!("expected {HEADER}, found {line:?}");
        };
        Ok(Self {
            epoch: epoch.parse()?,
            iteration: iteration.parse()?,
            loss: loss.parse()?,
            mined: mined.parse()?,
            kept: kept.parse()?,
            seconds: seconds.parse()?,
        })
    }
}

/// The log of a run. What stands in the folder stays untouched until the first writing.
#[derive(Debug)]
pub(crate) struct IterationLog {
    part: PathBuf,
    whole: PathBuf,
    /// Open once something was written.
    open: Option<BufWriter<File>>,
    /// How many bytes of the file are this run's.
    length: u64,
}

impl IterationLog {
    /// A log without lines.
    pub(crate) fn new(outputs: &Outputs) -> Self {
        Self {
            part: outputs.path("log.csv.part"),
            whole: outputs.path("log.csv"),
            open: None,
            length: 0,
        }
    }

    /// Goes on after the first `length` bytes, and returns what they tell.
    pub(crate) fn resume(&mut self, length: u64) -> anyhow::Result<Vec<Iteration>> {
        // A run that has ended may go on for more epochs.
        let path = if self.part.exists() {
            &self.part
        } else {
            &self.whole
        };
        let shown = || format!("can't read {}", path.display());
        let mut text = String::new();
        let file = File::open(path).with_context(shown)?;
        file.take(length)
            .read_to_string(&mut text)
            .with_context(shown)?;
        if (text.len() as u64) < length {
            bail!(
                "{}: expected the {length} bytes that the checkpoint knows of, found {}",
                path.display(),
                text.len()
            );
        }
        self.open = None;
        self.length = length;
        let lines = text.lines().enumerate().skip(1);
        let read = |(number, line): (usize, &str)| {
            let place = || format!("{}, line {}", path.display(), number + 1);
            line.parse().with_context(place)
        };
        lines.map(read).collect()
    }

    /// Adds a line.
    pub(crate) fn push(&mut self, done: &Iteration) -> anyhow::Result<()> {
        if self.length == 0 {
            self.write(HEADER)?;
        }
        self.write(&done.line())
    }

    /// Brings the lines to the disk, and returns how many bytes they are.
    pub(crate) fn sync(&mut self) -> anyhow::Result<u64> {
        if let Some(file) = &mut self.open {
            let shown = || format!("can't write {}", self.part.display());
            file.flush().with_context(shown)?;
            file.get_ref().sync_all().with_context(shown)?;
        }
        Ok(self.length)
    }

    /// Ends the log: from here on it is `log.csv`.
    pub(crate) fn finish(&mut self) -> anyhow::Result<()> {
        if self.length == 0 {
            self.write(HEADER)?;
        }
        self.file()?;
        self.sync()?;
        self.open = None;
        durable::replace(&self.part, &self.whole)
            .with_context(|| format!("can't write {}", self.whole.display()))
    }

    fn write(&mut self, line: &str) -> anyhow::Result<()> {
        let shown = format!("can't write {}", self.part.display());
        writeln!(self.file()?, "{line}").context(shown)?;
        self.length += line.len() as u64 + 1;
        Ok(())
    }

    /// The file under its working name, with nothing after the bytes of this run.
    fn file(&mut self) -> anyhow::Result<&mut BufWriter<File>> {
        if self.open.is_none() {
            let shown = || format!("can't write {}", self.part.display());
            if self.length > 0 && !self.part.exists() {
                fs::rename(&self.whole, &self.part).with_context(shown)?;
            }
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&self.part)
                .with_context(shown)?;
            file.set_len(self.length).with_context(shown)?;
            file.seek(SeekFrom::End(0)).with_context(shown)?;
            self.open = Some(BufWriter::new(file));
        }
        self.open.as_mut().context("the log was opened just now")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let length = log.sync()?;
        log.push(&done(2))?;
        drop(log);
        assert!(!outputs.path("log.csv").exists());

        let mut log = IterationLog::new(&outputs);
        assert_eq!(log.resume(length)?, [done(0), done(1)]);
        log.push(&done(2))?;
        log.finish()?;
        let text = fs::read_to_string(outputs.path("log.csv"))?;
        assert_eq!(
            text,
            format!("{HEADER}\n1,0,0.1,10,5,0.250\n1,1,1.1,10,5,0.250\n1,2,2.1,10,5,0.250\n")
        );

        // A log that was whole already goes on, too.
        let mut log = IterationLog::new(&outputs);
        assert_eq!(log.resume(text.len() as u64)?.len(), 3);
        log.push(&done(3))?;
        log.finish()?;
        let text = fs::read_to_string(outputs.path("log.csv"))?;
        assert_eq!(text.lines().count(), 5);
        assert!(!outputs.path("log.csv.part").exists());
        Ok(())
    }

    #[test]
    fn a_log_that_lost_lines_is_refused_and_left_alone() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let outputs = Outputs::create(folder.path())?;
        let path = outputs.path("log.csv.part");
        fs::write(&path, format!("{HEADER}\n1,0,x\n"))?;
        let length = fs::metadata(&path)?.len();
        let refused = |length| {
            format!(
                "{:#}",
                IterationLog::new(&outputs).resume(length).unwrap_err()
            )
        };
        assert!(refused(length + 1).contains("log.csv.part: expected the"));
        assert!(refused(length).contains("log.csv.part, line 2: expected epoch,"));
        assert_eq!(fs::metadata(&path)?.len(), length);
        Ok(())
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_an_error() {
        // The device that is always full, where a program may write to it.
        if let Ok(file) = File::options().write(true).open("/dev/full") {
            let path = PathBuf::from("/dev/full");
            let mut log = IterationLog {
                part: path.clone(),
                whole: path,
                open: Some(BufWriter::with_capacity(0, file)),
                length: 1,
            };
            let error = log.push(&done(0)).unwrap_err();
            assert!(error.to_string().contains("/dev/full"));
        }
    }
}
