//! `cargo run --release -p dml-examples --example sentences -- [--model DIR --pairs FILE --lr 2e-5]`: a sentence encoder
//! fine-tuned on pairs.
//!
//! See the module `sentences` of this package for what it does; `--help` lists the arguments.

use std::process::ExitCode;

use dml_examples::sentences::run;
use dml_examples::terminal::main_with;

fn main() -> ExitCode {
    main_with("Fine-tunes a sentence encoder on pairs of sentences", run)
}
