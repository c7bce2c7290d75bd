//! `cargo xtask catalog`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = dml_conformance::catalog::Args::parse();
    dml_program::program(|| dml_conformance::catalog::run(&args))
}
