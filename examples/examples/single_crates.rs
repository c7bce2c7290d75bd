//! `cargo run --release -p dml-examples --example single_crates`: five lines of each of five crates.

use std::process::ExitCode;

fn main() -> ExitCode {
    dml_examples::terminal::main_of(|out| dml_examples::single_crates::run(out))
}
