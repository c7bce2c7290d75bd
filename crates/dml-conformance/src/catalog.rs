//! `cargo xtask catalog`: the README's table of components, made from the code.
//!
//! A component's line is the first paragraph of its file's documentation, its paper the first arXiv number there; how many
//! reference cases hold it is counted in the packed cases.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use dml::config::{
    DistanceConfig, LossKind, MinerKind, ReducerConfig, RegularizerKind, SamplerConfig,
};

const BEGIN: &str = "<!-- catalog: made by `cargo xtask catalog` -->\n";
const END: &str = "<!-- end of catalog -->";

/// Role, crate, names.
const ROLES: &[(&str, &str, &[&str])] = &[
    ("Losses", "dml-losses", LossKind::NAMES),
    ("Miners", "dml-miners", MinerKind::NAMES),
    ("Distances", "dml-distances", DistanceConfig::NAMES),
    ("Reducers", "dml-reducers", ReducerConfig::NAMES),
    ("Regularizers", "dml-regularizers", RegularizerKind::NAMES),
    ("Samplers", "dml-samplers", SamplerConfig::NAMES),
    ("Evaluation", "dml-eval", EVALUATION),
];

/// Several of them have another name in configurations: PML's.
const EVALUATION: &[&str] = &[
    "AccuracyCalculator",
    "FlatIndex",
    "QuantizedIndex",
    "UsearchIndex",
    "CustomKNN",
    "KMeans",
    "Verification",
    "MatchFinder",
    "InferenceModel",
    "KnnClassifier",
    "KReciprocal",
    "QueryExpansion",
    "GlobalEmbeddingSpaceTester",
    "WithSameParentLabelTester",
    "GlobalTwoStreamEmbeddingSpaceTester",
    "Pca",
    "TSne",
];

/// Bring the README's table of components up to date.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo xtask catalog", bin_name = "cargo xtask catalog")]
pub struct Args {
    /// Change nothing; fail if the table is not up to date.
    #[arg(long)]
    check: bool,
}

/// Writes the table, or checks it.
///
/// # Errors
/// If the README has no place for the table, a component has no file, or the table is out of date under `--check`.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let path = workspace_root().join("README.md");
    let readme = fs::read_to_string(&path)?;
    let (before, rest) = readme
        .split_once(BEGIN)
        .context("README.md: no catalog to fill in")?;
    let (_, after) = rest
        .split_once(END)
        .context("README.md: the catalog has no end")?;
    let fresh = format!("{before}{BEGIN}{}{END}{after}", table()?);
    if fresh == readme {
        return Ok(());
    }
    if args.check {
        bail!("README.md: the catalog is out of date; run `cargo xtask catalog`");
    }
    Ok(dml::core::durable::write(&path, fresh.as_bytes())?)
}

/// The folder of the workspace's manifest, wherever the program is started from.
fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn table() -> anyhow::Result<String> {
    let cases = count_cases()?;
    let mut text = String::new();
    for (role, package, names) in ROLES {
        let sources = sources(&workspace_root().join("crates").join(package).join("src"))?;
        writeln!(text, "\n| {role} | | paper | cases |\n|---|---|---|---|")?;
        for name in *names {
            let source = sources
                .iter()
                .find(|text| text.contains(&format!("pub struct {name}")) && declares(text, name))
                .with_context(|| format!("{package} has no type {name}"))?;
            let summary = first_paragraph(source);
            let paper = arxiv(source).map_or_else(String::new, |id| {
                format!("[{id}](https://arxiv.org/abs/{id})")
            });
            let count = cases.get(*name).copied().unwrap_or(0);
            writeln!(text, "| `{name}` | {summary} | {paper} | {count} |")?;
        }
    }
    writeln!(text)?;
    Ok(text)
}

/// The first paragraph of the documentation of a file, as one line.
fn first_paragraph(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    let lines = lines.map(str::trim).take_while(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// Whether a file declares exactly that type, not one whose name only begins so.
fn declares(text: &str, name: &str) -> bool {
    text.match_indices(&format!("pub struct {name}"))
        .any(|(at, found)| {
            !text[at + found.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
        })
}

/// The first arXiv number in the documentation of a file.
fn arxiv(text: &str) -> Option<&str> {
    let docs = text.lines().take_while(|line| line.starts_with("//!"));
    docs.filter_map(|line| line.split_once("arXiv:"))
        .map(|(_, rest)| {
            let end = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(rest.len());
            rest[..end].trim_end_matches('.')
        })
        .next()
}

fn count_cases() -> anyhow::Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    for case in dml_testing::packed_cases()? {
        let mut parts = case.path.split('/');
        if let (Some(kind), Some(name)) = (parts.next(), parts.next())
            && kind != "pipeline"
        {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    Ok(counts)
}

/// The text of every Rust file below a folder.
fn sources(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut files: Vec<PathBuf> = vec![folder.to_owned()];
    let mut texts = Vec::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                files.push(entry?.path());
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            texts.push(fs::read_to_string(&path)?);
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_is_up_to_date() {
        run(&Args { check: true }).unwrap();
    }

    #[test]
    fn a_type_is_not_taken_for_one_with_a_longer_name() {
        assert!(
            declares("pub struct Mean;", "Mean") && !declares("pub struct MeanReducer;", "Mean")
        );
    }

    #[test]
    fn the_first_number_is_the_paper() {
        assert_eq!(
            arxiv("//! A loss.\n//! See (2015, arXiv:1503.03832).\ncode"),
            Some("1503.03832")
        );
        assert_eq!(arxiv("//! A loss.\n/// arXiv:1503.03832"), None);
    }
}
