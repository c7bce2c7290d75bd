//! Standard output and standard error that may be closed, as by `| head -1` or with the terminal.
//!
//! The standard library's `println!` panics then. The macros of the same names here take their place in the whole program:
//! what can't be printed is dropped, and [`failure`] tells why.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

/// Prints a line to standard output.
macro_rules! println {
    () => { $crate::terminal::print(format_args!("\n")) };
    ($($text:tt)*) => { $crate::terminal::print(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints to standard output.
#[allow(unused_macros)] // So that the standard library's does not come back unnoticed.
macro_rules! print {
    ($($text:tt)*) => { $crate::terminal::print(format_args!($($text)*)) };
}

/// Prints a line to standard error.
macro_rules! eprintln {
    () => { $crate::terminal::complain(format_args!("\n")) };
    ($($text:tt)*) => { $crate::terminal::complain(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints to standard error.
#[allow(unused_macros)]
macro_rules! eprint {
    ($($text:tt)*) => { $crate::terminal::complain(format_args!($($text)*)) };
}

/// The first error of standard output.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// Why standard output can't be written to any more; `None` while it can.
pub(crate) fn failure() -> Option<&'static io::Error> {
    FAILURE.get()
}

/// Whether the reader of standard output has gone away, which is its right.
pub(crate) fn is_unread(failure: &io::Error) -> bool {
    failure.kind() == ErrorKind::BrokenPipe
}

pub(crate) fn print(text: Arguments<'_>) {
    if FAILURE.get().is_some() {
        return;
    }
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_fmt(text).and_then(|()| out.flush()) {
        FAILURE.set(error).ok();
    }
}

pub(crate) fn complain(text: Arguments<'_>) {
    // There is nowhere left to say so.
    io::stderr().lock().write_fmt(text).ok();
}
