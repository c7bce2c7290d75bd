//! The project's own commands: `cargo xtask COMMAND`.
//!
//! One file per command, with `Args` and `run`. A new command is its `mod` line, its line in [`Command`] and its
//! line in [`Command::run`].

// These are programs for a terminal: what they print is their result.
#![allow(clippy::print_stdout, clippy::print_stderr)]

// First, since its macros take the place of the standard library's in all that follow.
#[macro_use]
mod terminal;

mod allocator;
mod bench;
mod candle_threads;
mod catalog;
mod ci;
mod conformance;
mod device;
mod fuzz;
mod golden;
mod gpu;
mod memory;
mod mnist;
mod number;
mod tidy;

use std::path::PathBuf;
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
    /// Run every check that a change must pass, cheapest first.
    Ci(ci::Args),
    /// Train on MNIST as PyTorch Metric Learning's example does, and measure Precision@1.
    Mnist(mnist::Args),
    /// Measure speed, as a ratio to PyTorch Metric Learning's where it is at hand.
    Bench(bench::Args),
    /// Check the shape of the workspace: dependencies, manifests, module names.
    Tidy(tidy::Args),
    /// Bring the README's table of components up to date.
    Catalog(catalog::Args),
    /// Hold every component to the reference cases.
    Conformance(conformance::Args),
    /// Hand the readers, the configurations and the tuples what libFuzzer makes up.
    Fuzz(fuzz::Args),
    /// Make reference cases of a component with PyTorch Metric Learning, and hold the library to them.
    Golden(golden::Args),
    /// Everything that a GPU is asked for, in one report: numbers against the CPU's, speed against the peers'.
    Gpu(gpu::Args),
}

impl Command {
    fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Ci(args) => ci::run(args),
            Self::Mnist(args) => mnist::run(args),
            Self::Bench(args) => bench::run(args),
            Self::Tidy(args) => tidy::run(args),
            Self::Catalog(args) => catalog::run(args),
            Self::Conformance(args) => conformance::run(args),
            Self::Fuzz(args) => fuzz::run(args),
            Self::Golden(args) => golden::run(args),
            Self::Gpu(args) => gpu::run(args),
        }
    }
}

fn main() -> ExitCode {
    allocator::keep_freed_memory();
    candle_threads::none_for_candle();
    match Cli::parse().command.run() {
        Ok(()) => match terminal::failure() {
            Some(failure) if !terminal::is_unread(failure) => {
                eprintln!("error: can't write to standard output: {failure}");
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        },
        Err(error) => {
            eprintln!("error: {}", dml::core::with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace's manifest, wherever the command is started from.
pub(crate) fn workspace_root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}
