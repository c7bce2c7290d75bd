//! The command `dml`.

use std::process::ExitCode;

use clap::Parser;
use dml_cli::{Cli, exit};

fn main() -> ExitCode {
    let cli = Cli::parse();
    dml_program::training_program_with(|| dml_cli::run(&cli), exit::code)
}
