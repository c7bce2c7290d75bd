//! Speed beside the peers, and the report on a GPU: `cargo xtask bench` and `cargo xtask gpu`.
//!
//! The program contains every part of the report (`bench`, `conformance`, `mnist`), so that one file is enough on a machine
//! without sources.

mod bench;
mod gpu;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about, version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure speed, as a ratio to PyTorch Metric Learning's where `--peer` is given.
    Bench(bench::Args),
    /// Run every component against reference cases.
    Conformance(dml_conformance::conformance::Args),
    /// Write one report of everything that runs on a GPU: numbers against the CPU's, speed against the peers'.
    Gpu(gpu::Args),
    /// Train on MNIST, and measure Precision@1.
    Mnist(dml_mnist::Args),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    dml_program::training_program(|| match &command {
        Command::Bench(args) => bench::run(args),
        Command::Conformance(args) => dml_conformance::conformance::run(args),
        Command::Gpu(args) => gpu::run(args),
        Command::Mnist(args) => dml_mnist::run(args),
    })
}
