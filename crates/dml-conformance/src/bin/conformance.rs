//! `cargo xtask conformance`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = dml_conformance::conformance::Args::parse();
    dml_program::training_program(|| dml_conformance::conformance::run(&args))
}
