//! The project's task runner: `cargo xtask COMMAND`.
//!
//! The checks are in this package, one file per command, and know no crate of the library: they run where it does not
//! compile. The other commands start [`programs`] of other packages.

/// Prints a line to standard output. A reader that has closed it, as `| head -1` does, ends no check.
macro_rules! println {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), $($text)*).ok();
    }};
}

mod ci;
mod fuzz;
mod metadata;
mod programs;
mod tidy;

use std::io::Write as _;
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
    Mnist(programs::Args),
    /// Measure speed, as a ratio to PyTorch Metric Learning's where `--peer` is given.
    Bench(programs::Args),
    /// Check the shape of the workspace: dependencies, features, manifests, module names.
    Tidy(tidy::Args),
    /// Bring the README's table of components up to date.
    Catalog(programs::Args),
    /// Run every component against reference cases.
    Conformance(programs::Args),
    /// Run the fuzz targets: file formats, configurations, tuples.
    Fuzz(fuzz::Args),
    /// Write one report of everything that runs on a GPU: numbers against the CPU's, speed against the peers'.
    Gpu(programs::Args),
}

impl Command {
    fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Ci(args) => ci::run(args),
            Self::Mnist(args) => programs::MNIST.run(args),
            Self::Bench(args) => programs::BENCH.run(args),
            Self::Tidy(args) => tidy::run(args),
            Self::Catalog(args) => programs::CATALOG.run(args),
            Self::Conformance(args) => programs::CONFORMANCE.run(args),
            Self::Fuzz(args) => fuzz::run(args),
            Self::Gpu(args) => programs::GPU.run(args),
        }
    }
}

fn main() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed standard error leaves the exit code.
            writeln!(std::io::stderr(), "error: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace's manifest, wherever the command is started from.
fn workspace_root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_its_help_and_its_flags() {
        let parsed = Cli::try_parse_from(["xtask", "mnist", "--help"]);
        assert!(matches!(parsed.unwrap().command, Command::Mnist(_)));
        assert!(Cli::try_parse_from(["xtask", "bench", "--only", "eval", "--runs=1"]).is_ok());
        assert!(Cli::try_parse_from(["xtask", "tidy", "--only"]).is_err());
    }
}
