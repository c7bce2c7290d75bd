//! What every example's `main` does around its `run`: standard output, the error, the exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Command};
use dml_program::terminal::Output;

/// Runs a program that prints to standard output, and prints its error to standard error.
pub fn main_of<T>(program: impl FnOnce(&mut dyn Write) -> anyhow::Result<T>) -> ExitCode {
    dml_program::program(|| {
        program(&mut Output)?;
        Ok(Output.flush()?)
    })
}

/// The same for a program that takes arguments; `about` is a line of its `--help`.
pub fn main_with<A: Args, T>(
    about: &'static str,
    program: impl FnOnce(&A, &mut dyn Write) -> anyhow::Result<T>,
) -> ExitCode {
    let command = A::augment_args(Command::new(env!("CARGO_PKG_NAME")).about(about));
    let args = A::from_arg_matches(&command.get_matches());
    let args = args.unwrap_or_else(|error| error.exit());
    main_of(|out| program(&args, out))
}
