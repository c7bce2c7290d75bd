//! `cargo run --release -p dml-examples --example two_losses`: `ArcFace` and triplets on the same digits.
//!
//! `--data-dir DIR` takes MNIST instead of digits drawn by a program; `--help` lists the arguments.

#![allow(clippy::print_stderr)] // A program for a terminal.

use std::process::ExitCode;

use clap::Parser;
use dml_examples::digits::{Args, two_losses};

/// Learns the same digits by two losses.
#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    match two_losses::run(&CommandLine::parse().args, &mut std::io::stdout()) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
