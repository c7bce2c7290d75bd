//! `cargo run --release --example image_folder -- --train DIR --test DIR`: an embedding from two folders of pictures.
//!
//! See the module `image_folder` of this package for what it does; `--help` lists the arguments.

use std::process::ExitCode;

use clap::Parser;
use dml_examples::image_folder::{Args, run};
use dml_examples::terminal::main_of;

fn main() -> ExitCode {
    let args = Args::parse();
    main_of(|out| run(&args, out))
}
