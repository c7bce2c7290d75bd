//! `cargo xtask golden NAME`: new reference cases of a component, and the library against them.

use std::path::PathBuf;
use std::process;

use anyhow::{Context, ensure};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::programs::CONFORMANCE;
use crate::workspace_root;

/// The command line of `cargo xtask golden`.
pub(crate) fn command(command: Command) -> Command {
    let option = |name, value| Arg::new(name).long(name).value_name(value);
    let path = |name, value| option(name, value).value_parser(value_parser!(PathBuf));
    let names = Arg::new("names")
        .value_name("NAME")
        .action(ArgAction::Append);
    command.args([
        names
            .num_args(1..)
            .required(true)
            .help("Components by their class names, or `all`"),
        path("peer", "PYTHON")
            .default_value("python3")
            .help("A Python with PyTorch Metric Learning"),
        path("out", "DIR").help(
            "Folder for the cases; new or empty. Default `target/golden`, whose cases are replaced",
        ),
        option("kind", "KIND")
            .action(ArgAction::Append)
            .help("Make cases of this kind only; may be given several times"),
        option("seed", "SEED")
            .value_parser(value_parser!(u64))
            .help("Seed of all draws"),
    ])
}

/// Runs the generator, then the conformance runner on what it made.
pub(crate) fn run(args: &ArgMatches) -> anyhow::Result<()> {
    let root = workspace_root();
    let texts = |name| args.get_many::<String>(name).into_iter().flatten();
    let peer: &PathBuf = args.get_one("peer").context("--peer has a default")?;
    let out = match args.get_one::<PathBuf>("out") {
        Some(out) => out.clone(),
        None => {
            let out = root.join("target/golden");
            if out.exists() {
                std::fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
            }
            out
        }
    };
    // Cases of another run are not what was asked for.
    let is_empty = || {
        out.read_dir()
            .is_ok_and(|mut entries| entries.next().is_none())
    };
    let is_free = !out.exists() || is_empty();
    ensure!(
        is_free,
        "--out {}: expected a new or an empty folder",
        out.display()
    );
    let mut python = process::Command::new(peer);
    python
        .arg(root.join("crates/dml-testing/generate/golden.py"))
        .arg("--out")
        .arg(&out)
        .args(texts("kind").flat_map(|kind| ["--kind", kind]))
        .args(texts("names"));
    if let Some(seed) = args.get_one::<u64>("seed") {
        python.args(["--seed", &seed.to_string()]);
    }
    let status = python
        .status()
        .with_context(|| format!("--peer {}: can't be started", peer.display()))?;
    ensure!(status.success(), "golden.py ended with {status}");
    let status = CONFORMANCE.cargo(&[out.into()]).status()?;
    ensure!(status.success(), "conformance ended with {status}");
    Ok(())
}
