//! `cargo run --release -p dml-examples --example self_supervised_digits`: embeddings of digits learnt without labels.
//!
//! `--data-dir DIR` takes MNIST instead of digits drawn by a program; `--help` lists the arguments.

use std::process::ExitCode;

use dml_examples::digits::self_supervised::run;
use dml_examples::terminal::main_with;

fn main() -> ExitCode {
    main_with("Learns embeddings of digits without a label", run)
}
