//! `cargo run --release -p dml-examples --example self_supervised_digits`: embeddings of digits learnt without labels.
//!
//! `--data-dir DIR` takes MNIST instead of digits drawn by a program; `--help` lists the arguments.

use std::process::ExitCode;

use clap::Parser;
use dml_examples::digits::{Args, self_supervised};
use dml_examples::terminal::main_of;

/// Learns embeddings of digits without a label.
#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    let args = CommandLine::parse().args;
    main_of(|out| self_supervised::run(&args, out))
}
