//! `cargo run --release -p dml-examples --example self_supervised_digits`: embeddings of digits learnt without labels.
//!
//! `--data-dir DIR` takes MNIST instead of digits drawn by a program; `--help` lists the arguments.

#![allow(clippy::print_stderr)] // A program for a terminal.

use std::process::ExitCode;

use clap::Parser;
use dml_examples::digits::{Args, self_supervised};

/// Learns embeddings of digits without a label.
#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    match self_supervised::run(&CommandLine::parse().args, &mut std::io::stdout()) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
