//! `cargo run --release -p dml-examples --features images --example serve -- --model FILE --index FILE [--build] [PICTURE …]`: which digits
//! of a gallery are nearest to pictures.
//!
//! See the module `serve` of this package for what it does; `--help` lists the arguments.

use std::process::ExitCode;

use clap::Parser;
use dml_examples::serve::{Args, run};
use dml_examples::terminal::main_of;

/// Which digits of a gallery are nearest to pictures.
#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    let args = CommandLine::parse().args;
    main_of(|out| run(&args, out))
}
