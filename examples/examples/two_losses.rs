//! `cargo run --release -p dml-examples --example two_losses`: `ArcFace` and triplets on the same digits.
//!
//! `--data-dir DIR` takes MNIST instead of digits drawn by a program; `--help` lists the arguments.

use std::process::ExitCode;

use dml_examples::digits::two_losses::run;
use dml_examples::terminal::main_with;

fn main() -> ExitCode {
    main_with("Learns the same digits by two losses", run)
}
