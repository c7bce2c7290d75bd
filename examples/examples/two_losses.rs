//! `cargo run --release -p dml-examples --example two_losses`: `ArcFace` and triplets on the same digits.
//!
//! `--data-dir DIR` takes MNIST instead of digits drawn by a program; `--help` lists the arguments.

use std::process::ExitCode;

use clap::Parser;
use dml_examples::digits::{Args, two_losses};
use dml_examples::terminal::main_of;

/// Learns the same digits by two losses.
#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    let args = CommandLine::parse().args;
    main_of(|out| two_losses::run(&args, out))
}
