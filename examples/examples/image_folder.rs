//! `cargo run --release --example image_folder -- --train DIR --test DIR`: an embedding from two folders of pictures.
//!
//! See the module `image_folder` of this package for what it does; `--help` lists the arguments.

#![allow(clippy::print_stderr)] // A program for a terminal.

use std::process::ExitCode;

use clap::Parser;
use dml_examples::image_folder::{Args, run};

fn main() -> ExitCode {
    match run(&Args::parse(), &mut std::io::stdout()) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
