//! What every example's `main` does around its `run`: standard output, the error, the exit code.

use std::io::Write;
use std::process::ExitCode;

use dml_program::terminal::Output;

/// Runs a program that prints to standard output, and prints its error to standard error.
pub fn main_of<T>(program: impl FnOnce(&mut dyn Write) -> anyhow::Result<T>) -> ExitCode {
    dml_program::program(|| {
        program(&mut Output)?;
        Ok(Output.flush()?)
    })
}
