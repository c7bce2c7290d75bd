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
mod golden;
mod metadata;
mod programs;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, Command};

/// A command: its name, what it does, its command line, and what it runs.
struct Task {
    name: &'static str,
    about: &'static str,
    command: fn(Command) -> Command,
    run: fn(&ArgMatches) -> anyhow::Result<()>,
}

const TASKS: &[Task] = &[
    Task {
        name: "ci",
        about: "Run every check that a change must pass, cheapest first",
        command: ci::command,
        run: ci::run,
    },
    Task {
        name: "mnist",
        about: "Train on MNIST as PyTorch Metric Learning's example does, and measure Precision@1",
        command: programs::command,
        run: |args| programs::MNIST.run(args),
    },
    Task {
        name: "bench",
        about: "Measure speed, as a ratio to PyTorch Metric Learning's where `--peer` is given",
        command: programs::command,
        run: |args| programs::BENCH.run(args),
    },
    Task {
        name: "tidy",
        about: "Check the shape of the workspace: dependencies, features, manifests, module names",
        command: |command| command,
        run: |_| tidy::run(),
    },
    Task {
        name: "catalog",
        about: "Bring the README's table of components up to date",
        command: programs::command,
        run: |args| programs::CATALOG.run(args),
    },
    Task {
        name: "conformance",
        about: "Run every component against reference cases",
        command: programs::command,
        run: |args| programs::CONFORMANCE.run(args),
    },
    Task {
        name: "fuzz",
        about: "Run the fuzz targets: file formats, configurations, tuples",
        command: fuzz::command,
        run: fuzz::run,
    },
    Task {
        name: "golden",
        about: "Make reference cases of a component with PyTorch Metric Learning, and run it against them",
        command: golden::command,
        run: golden::run,
    },
    Task {
        name: "gpu",
        about: "Write one report of everything that runs on a GPU: numbers and speed",
        command: programs::command,
        run: |args| programs::GPU.run(args),
    },
];

fn command() -> Command {
    let task = |task: &Task| (task.command)(Command::new(task.name).about(task.about));
    Command::new("cargo xtask")
        .bin_name("cargo xtask")
        .about(env!("CARGO_PKG_DESCRIPTION"))
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(TASKS.iter().map(task))
}

fn main() -> ExitCode {
    let matches = command().get_matches();
    let chosen = matches.subcommand().and_then(|(name, args)| {
        let task = TASKS.iter().find(|task| task.name == name)?;
        Some((task.run)(args))
    });
    match chosen {
        Some(Err(error)) => {
            // A closed standard error leaves the exit code.
            use std::io::Write as _;
            writeln!(std::io::stderr(), "error: {error:#}").ok();
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
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
        command().debug_assert();
        for words in [
            "mnist --help",
            "bench --only eval --runs=1",
            "conformance DIR --summary",
        ] {
            let words: Vec<&str> = words.split(' ').collect();
            let matches = command().try_get_matches_from(["xtask"].iter().chain(&words));
            let matches = matches.unwrap();
            let (name, args) = matches.subcommand().unwrap();
            assert_eq!(name, words[0]);
            let passed: Vec<&std::ffi::OsString> = args.get_many("args").unwrap().collect();
            assert_eq!(passed, words[1..]);
        }
        assert!(
            command()
                .try_get_matches_from(["xtask", "tidy", "--only"])
                .is_err()
        );
    }
}
