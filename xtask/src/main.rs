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

use anyhow::bail;
use clap::{ArgMatches, Command};

use programs::{PROGRAMS, Program};

/// A check or a command of this package: its name, what it does, its command line, and what it runs.
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
        name: "tidy",
        about: "Check the shape of the workspace: dependencies, features, manifests, module names",
        command: |command| command,
        run: |_| tidy::run(),
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
];

fn command() -> Command {
    let task = |task: &Task| (task.command)(Command::new(task.name).about(task.about));
    let program = |program: &&Program| program.subcommand();
    Command::new("cargo xtask")
        .bin_name("cargo xtask")
        .about(env!("CARGO_PKG_DESCRIPTION"))
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(TASKS.iter().map(task))
        .subcommands(PROGRAMS.iter().map(program))
}

fn main() -> ExitCode {
    let matches = command().get_matches();
    let done = matches.subcommand().map_or(Ok(()), |(name, args)| {
        let program = PROGRAMS.iter().find(|program| program.name == name);
        let task = TASKS.iter().find(|task| task.name == name);
        match (program, task) {
            (Some(program), _) => program.run(args),
            (_, Some(task)) => (task.run)(args),
            (None, None) => Ok(()),
        }
    });
    match done {
        Err(error) => {
            // A closed standard error leaves the exit code.
            use std::io::Write as _;
            writeln!(std::io::stderr(), "error: {error:#}").ok();
            ExitCode::FAILURE
        }
        Ok(()) => ExitCode::SUCCESS,
    }
}

/// The values of an argument that may be given several times.
fn values<T: Clone + Send + Sync + 'static>(args: &ArgMatches, name: &str) -> Vec<T> {
    args.get_many(name).into_iter().flatten().cloned().collect()
}

/// Those of `known` whose names are in `only`, in the order of `known`; all if there is no name.
fn choose<T>(
    kind: &str,
    known: Vec<T>,
    name: impl Fn(&T) -> &str,
    only: &[String],
) -> anyhow::Result<Vec<T>> {
    let names: Vec<&str> = known.iter().map(&name).collect();
    if let Some(unknown) = only.iter().find(|only| !names.contains(&only.as_str())) {
        bail!(
            "no {kind} is called `{unknown}`; the {kind}s are {}",
            names.join(", ")
        );
    }
    let is_chosen = |item: &T| only.is_empty() || only.iter().any(|only| only == name(item));
    Ok(known.into_iter().filter(is_chosen).collect())
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
    fn names_choose_and_unknown_ones_are_refused() {
        let choose = |only: &[String]| choose("target", vec!["csv", "idx"], |name| name, only);
        assert_eq!(choose(&[]).unwrap(), ["csv", "idx"]);
        assert_eq!(choose(&["idx".to_owned()]).unwrap(), ["idx"]);
        let error = choose(&["png".to_owned()]).unwrap_err().to_string();
        let expected = "no target is called `png`; the targets are csv, idx";
        assert_eq!(error, expected);
    }

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
