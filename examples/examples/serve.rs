//! `cargo run --release -p dml-examples --example serve -- --model FILE --index FILE [--build] [PICTURE …]`: which digits
//! of a gallery are nearest to pictures.
//!
//! See the module `serve` of this package for what it does; `--help` lists the arguments.

#![allow(clippy::print_stderr)] // A program for a terminal.

use std::process::ExitCode;

use clap::Parser;
use dml_examples::serve::{Args, run};

/// Which digits of a gallery are nearest to pictures.
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
