//! `cargo xtask gpu`: everything that a GPU is asked for, in one report.
//!
//! ```text
//! conformance   every component against the reference cases
//! mnist         one epoch of the MNIST example, and Precision@1
//! epoch         the same epoch against PML's
//! triplet       semihard mining, triplet loss and backward, up to 16,384 rows
//! distances     forward and backward at 256, 1,024 and 4,096 rows
//! losses        forward and backward, the same
//! miners        the same
//! search        the 10 nearest of 1,000,000 references for 100,000 queries, 128 coordinates
//! ```
//!
//! Each part is another command of this program in a process of its own, so one that fails takes no other with it, and
//! parts that are measured one by one (`--only`) end up in one report: `gpu.json` and `gpu.md` in the folder `--out`. The
//! program needs no sources: the reference cases, MNIST and the peer's Python are named by arguments.

mod machine;
mod report;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use clap::ValueEnum;
use dml_program::number::within;
use dml_program::println;
use serde_json::Value;

/// Arguments of `cargo xtask gpu`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `cuda` or `cuda:N`; `cpu` and `metal` give the same report.
    #[arg(long, default_value = "cuda")]
    device: String,
    /// The reference cases. Default: those of the workspace.
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// The folder with the four MNIST files; without it digits are drawn, and there is no part `epoch`.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A Python with torch and pytorch-metric-learning, to measure against.
    #[arg(long, value_name = "PYTHON")]
    peer: Option<PathBuf>,
    /// Where the report goes.
    #[arg(long, value_name = "DIR", default_value = "target/gpu")]
    out: PathBuf,
    /// These parts only; may be given several times, or as a list with commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Runs of each workload, after one that is not counted.
    #[arg(long, default_value_t = 5, value_parser = within(1usize, 1000))]
    runs: usize,
    /// Sizes that any machine can do in minutes: to see that the command works, not what it measures.
    #[arg(long)]
    quick: bool,
}

/// A part of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Conformance,
    Mnist,
    Epoch,
    Triplet,
    Distances,
    Losses,
    Miners,
    Search,
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The command of this program that measures it; `None` where something is not at hand.
    fn command(self, args: &Args, json: &Path) -> Option<Vec<String>> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut words: Vec<String> = Vec::new();
        let mut say = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
        let data_dir = args.data_dir.as_deref().map(text);
        match self {
            Self::Conformance => {
                let packed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../dml-testing/cases");
                let cases = args.cases.clone().unwrap_or_else(packed);
                say(&["conformance", &text(&cases), "--summary"]);
                say(&["--json", &text(json)]);
                if args.quick {
                    say(&["--filter", "loss/TripletMarginLoss/"]);
                    say(&["--filter", "distance/"]);
                }
            }
            Self::Mnist => {
                let folder = text(&args.out.join("mnist"));
                say(&["mnist", "--epochs", "1", "--out", &folder]);
                match &data_dir {
                    Some(folder) => say(&["--data-dir", folder]),
                    None => say(&["--dataset", "synthetic"]),
                }
                if args.quick {
                    say(&["--limit", "2000"]);
                }
            }
            _ => {
                let small = |filter| if args.quick { filter } else { "" };
                let (group, filter) = match self {
                    Self::Epoch => ("mnist", "epoch"),
                    Self::Triplet => ("triplet", small("N256")),
                    Self::Distances => ("distances", small("N256")),
                    Self::Losses => ("losses", small("N256-C10")),
                    Self::Miners => ("miners", small("N256-C10")),
                    _ => ("eval", "search/k10/"),
                };
                say(&["bench", "--only", group, "--filter", filter]);
                say(&["--json", &text(json)]);
                say(&["--runs", &args.runs.to_string()]);
                match self {
                    Self::Epoch => say(&["--data-dir", data_dir.as_deref()?]),
                    Self::Search if args.quick => say(&["--rows", "3000", "--queries", "500"]),
                    Self::Search => say(&["--rows", "1000000", "--queries", "100000"]),
                    _ => {}
                }
                if let Some(python) = &args.peer {
                    say(&["--peer", &text(python)]);
                }
            }
        }
        say(&["--device", &args.device]);
        Some(words)
    }

    /// Where its figures are, once it has been measured.
    fn figures(self, out: &Path) -> PathBuf {
        match self {
            Self::Mnist => out.join("mnist/metrics.json"),
            _ => out.join(format!("{}.json", self.name())),
        }
    }
}

/// Measures the chosen parts and writes the report of all that have been.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    // Before minutes have passed: without the device there is nothing to measure.
    dml_program::open_device(&args.device).context("--device")?;
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let mut failed = Vec::new();
    for part in Part::value_variants() {
        if !args.only.is_empty() && !args.only.contains(part) {
            continue;
        }
        let name = part.name();
        let Some(words) = part.command(args, &part.figures(&args.out)) else {
            println!("── {name}: left out, since there is no --data-dir");
            continue;
        };
        println!("── {name}: {}", words.join(" "));
        let status = Command::new(std::env::current_exe()?)
            .args(&words)
            .status()?;
        if !status.success() {
            println!("── {name}: FAILED ({status})");
            failed.push(name);
        }
    }
    let mut parts = Vec::new();
    for part in Part::value_variants() {
        if let Ok(text) = std::fs::read_to_string(part.figures(&args.out)) {
            let figures: Value = serde_json::from_str(&text).with_context(|| part.name())?;
            parts.push((part.name(), figures));
        }
    }
    let machine = machine::describe(&args.device);
    report::write(&args.out, &machine, args.quick, &parts)?;
    println!("── report: {}", args.out.join("gpu.md").display());
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn every_part_is_a_command_that_the_program_knows() {
        for quick in [None, Some("--quick")] {
            let words = [
                "gpu",
                "--device",
                "cpu",
                "--data-dir",
                "/digits",
                "--peer",
                "python3",
            ];
            let args = Cli::parse_from(words.into_iter().chain(quick)).args;
            for part in Part::value_variants() {
                let words = part.command(&args, Path::new("/figures.json")).unwrap();
                let words = ["xtask"]
                    .into_iter()
                    .chain(words.iter().map(String::as_str));
                crate::Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }

    #[test]
    fn an_epoch_needs_data() {
        let args = Cli::parse_from(["gpu"]).args;
        assert_eq!(Part::Epoch.command(&args, Path::new("x.json")), None);
        assert!(Part::Mnist.command(&args, Path::new("x.json")).is_some());
    }
}
