//! `cargo xtask mnist`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = dml_mnist::Args::parse();
    dml_program::training_program(|| dml_mnist::run(&args))
}
