//! `cargo xtask conformance`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = dml_conformance::conformance::Args::parse();
    dml_cli::training_program(|| dml_conformance::conformance::run(&args))
}
