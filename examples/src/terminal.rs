//! What every example's `main` does around its `run`: standard output, the error, the exit code.

// A program for a terminal.
#![allow(clippy::print_stderr)]

use std::io::{self, ErrorKind, Stdout, Write};
use std::process::ExitCode;

/// Standard output that may be closed, as by `| head -1`: what can't be printed is dropped, and the work goes on.
#[derive(Debug)]
pub struct Terminal {
    out: Stdout,
    /// The first error.
    failure: Option<io::Error>,
}

impl Default for Terminal {
    fn default() -> Self {
        Self {
            out: io::stdout(),
            failure: None,
        }
    }
}

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failure.is_none()
            && let Err(error) = self.out.write_all(bytes)
        {
            self.failure = Some(error);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.failure.is_none()
            && let Err(error) = self.out.flush()
        {
            self.failure = Some(error);
        }
        Ok(())
    }
}

/// Runs a program that prints to standard output, and prints its error to standard error.
pub fn main_of<T>(program: impl FnOnce(&mut dyn Write) -> anyhow::Result<T>) -> ExitCode {
    let mut terminal = Terminal::default();
    let failed = match program(&mut terminal) {
        Ok(_) => {
            terminal.flush().ok();
            match terminal.failure {
                // Whoever reads the output may stop doing so.
                Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                    format!("can't write to standard output: {error}")
                }
                _ => return ExitCode::SUCCESS,
            }
        }
        Err(error) => dml::core::with_causes(&*error).to_string(),
    };
    // A closed standard error leaves the exit code to tell.
    writeln!(io::stderr(), "error: {failed}").ok();
    ExitCode::FAILURE
}
