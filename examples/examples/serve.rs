//! `cargo run --release -p dml-examples --features images --example serve -- --model FILE --index FILE [--build] [PICTURE …]`: which digits
//! of a gallery are nearest to pictures.
//!
//! See the module `serve` of this package for what it does; `--help` lists the arguments.

use std::process::ExitCode;

use dml_examples::serve::run;
use dml_examples::terminal::main_with;

fn main() -> ExitCode {
    main_with("Which digits of a gallery are nearest to pictures", run)
}
