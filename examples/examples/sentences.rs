//! `cargo run --release -p dml-examples --example sentences -- [--model DIR --pairs FILE --lr 2e-5]`: a sentence encoder
//! fine-tuned on pairs.
//!
//! See the module `sentences` of this package for what it does; `--help` lists the arguments.

use std::process::ExitCode;

use clap::Parser;
use dml_examples::sentences::{Args, run};
use dml_examples::terminal::main_of;

/// Fine-tunes a sentence encoder on pairs of sentences.
#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    let args = CommandLine::parse().args;
    main_of(|out| run(&args, out))
}
