//! Standard output and standard error that may be closed, as by `| head -1` or with the terminal.
//!
//! The standard library's `println!` panics then. Programs import the macros of the same names from this crate: what can't be
//! printed is dropped, and [`failure`] says why.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

/// Prints a line to standard output.
#[macro_export]
macro_rules! println {
    () => { $crate::terminal::print(format_args!("\n")) };
    ($($text:tt)*) => { $crate::terminal::print(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints a line to standard error.
#[macro_export]
macro_rules! eprintln {
    () => { $crate::terminal::complain(format_args!("\n")) };
    ($($text:tt)*) => { $crate::terminal::complain(format_args!("{}\n", format_args!($($text)*))) };
}

/// The first error of standard output.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// The error after which standard output is no longer written to; `None` while it can be.
pub fn failure() -> Option<&'static io::Error> {
    FAILURE.get()
}

/// Whether the reader of standard output has closed it, which is no error of the program.
#[must_use]
pub fn is_unread(failure: &io::Error) -> bool {
    failure.kind() == ErrorKind::BrokenPipe
}

/// Writes to standard output; what [`println!`](crate::println) calls.
pub fn print(text: Arguments<'_>) {
    let mut out = Output;
    // Kept by `Output`.
    out.write_fmt(text).and_then(|()| out.flush()).ok();
}

/// Writes to standard error; what [`eprintln!`](crate::eprintln) calls.
pub fn complain(text: Arguments<'_>) {
    // There is nowhere left to report the failure.
    io::stderr().lock().write_fmt(text).ok();
}

/// Standard output as a writer that never fails: what can't be written is dropped, and [`failure`] says why.
#[derive(Clone, Copy, Debug, Default)]
pub struct Output;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        keep_failure(|out| out.write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        keep_failure(Write::flush);
        Ok(())
    }
}

fn keep_failure(write: impl FnOnce(&mut io::StdoutLock<'static>) -> io::Result<()>) {
    if FAILURE.get().is_none()
        && let Err(error) = write(&mut io::stdout().lock())
    {
        FAILURE.set(error).ok();
    }
}
