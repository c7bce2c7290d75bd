//! `cargo xtask golden NAME`: new reference cases of a component, and the library against them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::programs::CONFORMANCE;
use crate::workspace_root;

/// Arguments of `cargo xtask golden`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Components by their class names, or `all`.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// A Python with PyTorch Metric Learning.
    #[arg(long, value_name = "PYTHON", default_value = "python3")]
    peer: PathBuf,
    /// Folder for the cases; new or empty. Default `target/golden`, whose cases are replaced.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Make cases of this kind only; may be given several times.
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Seed of all draws.
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs the generator, then the conformance runner on what it made.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = workspace_root();
    let out = match &args.out {
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
    let is_free = !out.exists()
        || out
            .read_dir()
            .is_ok_and(|mut entries| entries.next().is_none());
    ensure!(
        is_free,
        "--out {}: expected a new or an empty folder",
        out.display()
    );
    let mut python = Command::new(&args.peer);
    python
        .arg(root.join("crates/dml-testing/generate/golden.py"))
        .arg("--out")
        .arg(&out)
        .args(args.kind.iter().flat_map(|kind| ["--kind", kind]))
        .args(&args.names);
    if let Some(seed) = args.seed {
        python.args(["--seed", &seed.to_string()]);
    }
    let status = python
        .status()
        .with_context(|| format!("--peer {}: can't be started", args.peer.display()))?;
    ensure!(status.success(), "golden.py ended with {status}");
    let status = CONFORMANCE.cargo(&[out.into()]).status()?;
    ensure!(status.success(), "conformance ended with {status}");
    Ok(())
}
