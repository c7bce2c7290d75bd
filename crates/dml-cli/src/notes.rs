//! Notes on what a run begins with: on standard output, or on standard error where that is a configuration.

use std::fmt::Arguments;
use std::sync::atomic::{AtomicBool, Ordering};

use dml_program::terminal::{complain, print};

static IS_OUTPUT_A_FILE: AtomicBool = AtomicBool::new(false);

/// Sends the notes of this process to standard error from now on.
pub fn leave_output_alone() {
    IS_OUTPUT_A_FILE.store(true, Ordering::Relaxed);
}

/// Writes a note; what this module's `println!` calls.
pub fn note(text: Arguments<'_>) {
    match IS_OUTPUT_A_FILE.load(Ordering::Relaxed) {
        true => complain(text),
        false => print(text),
    }
}

/// Prints a line as a note.
macro_rules! println_note {
    ($($text:tt)*) => { $crate::notes::note(format_args!("{}\n", format_args!($($text)*))) };
}
pub(crate) use println_note as println;
