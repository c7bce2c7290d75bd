//! `cargo run --release -p dml-examples --example sentences -- [--model DIR --pairs FILE --lr 2e-5]`: a sentence encoder
//! fine-tuned on pairs.
//!
//! See the module `sentences` of this package for what it does; `--help` lists the arguments.

#![allow(clippy::print_stderr)] // A program for a terminal.

use std::process::ExitCode;

use clap::Parser;
use dml_examples::sentences::{Args, run};

/// Fine-tunes a sentence encoder on pairs of sentences.
#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    match run(&CommandLine::parse().args, &mut std::io::stdout()) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
