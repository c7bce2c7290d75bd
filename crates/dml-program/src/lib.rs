//! What the programs of the workspace have in common: arguments, the terminal, the exit code.
//!
//! A program's `main` calls [`training_program`], or [`program`] where the settings of the process stay the system's. Its
//! other modules print by [`println!`](crate::println) and [`eprintln!`](crate::eprintln) of this crate.

pub mod number;
pub mod terminal;

mod allocator;
mod candle_threads;
mod device;
mod interrupt;
mod memory;

use std::process::ExitCode;

pub use device::{limit_threads, open_device};
pub use interrupt::{INTERRUPTED, Interrupt};
pub use memory::peak_mb;

/// Runs a program that trains or measures: freed memory is kept, and Candle's operations stay on the thread that calls them.
pub fn training_program(program: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    training_program_with(program, |_| FAILURE)
}

/// The same with an exit code for each error.
pub fn training_program_with(
    program: impl FnOnce() -> anyhow::Result<()>,
    code: impl FnOnce(&anyhow::Error) -> u8,
) -> ExitCode {
    allocator::keep_freed_memory();
    candle_threads::none_for_candle();
    program_with(program, code)
}

/// Runs a program, prints its error to standard error, and returns its exit code.
///
/// A closed standard output, as by `| head -1`, is no failure; one that can't be written to for another reason is.
pub fn program(program: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    program_with(program, |_| FAILURE)
}

/// Exit code of a program that failed.
const FAILURE: u8 = 1;

fn program_with(
    program: impl FnOnce() -> anyhow::Result<()>,
    code: impl FnOnce(&anyhow::Error) -> u8,
) -> ExitCode {
    match program() {
        Ok(()) => match terminal::failure() {
            Some(failure) if !terminal::is_unread(failure) => {
                eprintln!("error: can't write to standard output: {failure}");
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        },
        Err(error) => {
            eprintln!("error: {}", dml_core::with_causes(&*error));
            ExitCode::from(code(&error))
        }
    }
}
