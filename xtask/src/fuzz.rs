//! `cargo xtask fuzz`: the fuzz targets of `fuzz/`, each for its share of some minutes.
//!
//! They need a nightly compiler and cargo-fuzz, and say so where these are missing; nothing is installed. What they run is
//! `dml_testing::fuzz`, which the tests run for some seconds, too. An input that fails is left in `fuzz/artifacts/TARGET`,
//! and the message says how to run it again.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use xshell::{Shell, cmd};

/// Memory in MiB from which on a target fails. An input has kilobytes.
const MEMORY: u32 = 2_048;
/// Seconds from which on an input is one that hangs.
const HANGS: u32 = 20;
/// The longest input in bytes.
const LONGEST: u32 = 1 << 16;

/// The command line of `cargo xtask fuzz`.
pub(crate) fn command(command: Command) -> Command {
    let minutes = Arg::new("minutes").long("minutes").default_value("8");
    let target = Arg::new("target")
        .long("target")
        .value_name("NAME")
        .action(ArgAction::Append);
    let list = Arg::new("list").long("list").action(ArgAction::SetTrue);
    command.args([
        minutes
            .help("Minutes for all targets together")
            .value_parser(value_parser!(u64).range(1..=10_080)),
        target.help("Run this target only; may be given several times"),
        list.help("Print the targets and run none"),
    ])
}

/// Runs the targets one after the other, and fails after the last one if one has.
pub(crate) fn run(args: &ArgMatches) -> anyhow::Result<()> {
    let folder = crate::workspace_root().join("fuzz");
    let only: Vec<String> = crate::values(args, "target");
    let chosen = crate::choose("target", names(&folder)?, String::as_str, &only)?;
    if args.get_flag("list") {
        chosen.iter().for_each(|name| println!("{name}"));
        return Ok(());
    }
    let sh = Shell::new()?;
    sh.change_dir(&folder);
    check_tools(&sh)?;
    let minutes: u64 = args.get_one("minutes").copied().unwrap_or(8);
    let seconds = (60 * minutes / chosen.len() as u64).max(1);
    let limits = [
        format!("-max_total_time={seconds}"),
        format!("-rss_limit_mb={MEMORY}"),
        format!("-timeout={HANGS}"),
        format!("-max_len={LONGEST}"),
    ];
    let features = if crate::ci::has_cxx(&sh) {
        &["--features", "usearch"][..]
    } else {
        println!("── no C++ compiler (g++, or the one in CXX): graph indexes are left out");
        &[]
    };
    let mut failed = Vec::new();
    for name in &chosen {
        println!("── {name}: {seconds} s");
        let limits = &limits;
        let fuzz = cmd!(
            sh,
            "cargo +nightly fuzz run --fuzz-dir {folder} {features...} {name} -- {limits...}"
        );
        if fuzz.run().is_err() {
            println!("── {name}: FAILED; its input is in fuzz/artifacts/{name}");
            failed.push(name.as_str());
        }
    }
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    println!("── nothing found");
    Ok(())
}

/// The targets that the folder has, by name.
fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let targets = folder.join("fuzz_targets");
    let entries = std::fs::read_dir(&targets)
        .with_context(|| format!("reading the targets in {}", targets.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = PathBuf::from(entry?.file_name());
        if path.extension().is_some_and(|ending| ending == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into()));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Whether everything is there that cargo-fuzz needs.
fn check_tools(sh: &Shell) -> anyhow::Result<()> {
    let works = |command: xshell::Cmd<'_>| {
        let command = command.quiet().ignore_stdout().ignore_stderr();
        command.run().is_ok()
    };
    ensure!(
        works(cmd!(sh, "cargo +nightly --version")),
        "no nightly compiler: run `rustup toolchain install nightly --profile minimal`"
    );
    ensure!(
        works(cmd!(sh, "cargo fuzz --version")),
        "no cargo-fuzz: run `cargo install cargo-fuzz --locked`"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_program_of_its_name() {
        let folder = crate::workspace_root().join("fuzz");
        let names = names(&folder).unwrap();
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        for name in &names {
            assert!(manifest.contains(&format!(
                "\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n"
            )));
            let source =
                std::fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
            assert!(source.contains(&format!("begin(\"{name}\")")), "{name}");
        }
        let listed = manifest.matches("[[bin]]").count();
        assert_eq!(listed, names.len());
    }
}
