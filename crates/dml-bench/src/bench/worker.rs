//! One workload in a process of its own, driven over its standard streams.
//!
//! A worker sets itself up, says so, and then does its work once for every line `run` that it reads, answering with one
//! line of JSON. Ours and the peer's speak the same protocol, so that they can take turns on the same machine, and so
//! that the peak memory of a workload is that of its process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};
use dml_program::{peak_mb, println};
use serde::{Deserialize, Serialize};

/// What one run of a workload came to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Wall-clock milliseconds.
    pub(crate) ms: f64,
    /// The loss of the (last) batch.
    pub(crate) loss: f64,
    /// The tuples mined in the (last) batch.
    pub(crate) tuples: u64,
    /// The largest resident memory of the process so far, in MB; 0 where the system does not tell.
    pub(crate) peak_mb: f64,
}

impl Sample {
    /// A run that began at `start` and has just ended.
    pub(crate) fn since(start: Instant, loss: f64, tuples: u64) -> Self {
        Self {
            ms: 1000.0 * start.elapsed().as_secs_f64(),
            loss,
            tuples,
            peak_mb: peak_mb().unwrap_or(0.0),
        }
    }
}

/// What a worker says after a run.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    Done(Sample),
    Failed { failed: String },
}

/// A running worker.
pub(crate) struct Worker {
    name: String,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a worker and waits until it is set up.
    pub(crate) fn start(name: &str, mut command: Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name}: can't start {}", command.get_program().display()))?;
        let streams = child.stdin.take().zip(child.stdout.take());
        let (input, output) = streams.context("a piped child has streams")?;
        let mut worker = Self {
            name: name.to_owned(),
            child,
            input,
            output: BufReader::new(output),
        };
        worker.answer()?;
        Ok(worker)
    }

    /// Runs the workload once.
    pub(crate) fn run(&mut self) -> anyhow::Result<Sample> {
        writeln!(self.input, "run").with_context(|| format!("{}: has ended", self.name))?;
        let line = self.answer()?;
        match serde_json::from_str(&line) {
            Ok(Answer::Done(sample)) => Ok(sample),
            Ok(Answer::Failed { failed }) => bail!("{}: {failed}", self.name),
            Err(error) => Err(error).with_context(|| format!("{}: answered {line:?}", self.name)),
        }
    }

    fn answer(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        if line.is_empty() {
            let status = self.child.wait()?;
            bail!(
                "{}: ended with {status} before it answered (see its message above)",
                self.name
            );
        }
        Ok(line)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Killing is the only way to stop a worker in the middle of a run; if it has ended already, so much the better.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The worker's side: answers until its standard input ends.
pub(crate) fn serve(mut run: impl FnMut() -> anyhow::Result<Sample>) -> anyhow::Result<()> {
    println!("{{\"ready\":true}}");
    for line in std::io::stdin().lines() {
        if line?.trim() == "run" {
            println!("{}", serde_json::to_string(&run()?)?);
        }
    }
    Ok(())
}
