//! Every file of `examples/recipes` in a small form: the same configuration on small data.

mod images;
mod texts;
mod vectors;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::program::Folder;

/// A network that is small enough for a test, in the place of a recipe's.
pub(super) const SMALL: &str = r#"backbone={ name = "mobilenet_v3_small", size = 32 }"#;

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/recipes")
}

/// An excerpt of a published data set.
pub(super) fn excerpt(name: &str) -> String {
    let layouts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dml-data/tests/inputs/layouts");
    format!("data.train={:?}", layouts.join(name).display().to_string())
}

/// Trains by a recipe with some fields replaced, for one epoch unless they say otherwise; what is printed.
pub(super) fn train(folder: &Folder, recipe: &str, fields: &[&str]) -> String {
    let path = root().join(format!("{recipe}.toml")).display().to_string();
    let mut args = vec!["train", &path, "--out", "run", "--epochs", "1"];
    for field in fields {
        args.extend(["--set", field]);
    }
    folder.done(&args)
}

/// A metric after training, and before.
pub(super) fn metric(folder: &Folder, name: &str) -> [f64; 2] {
    let results = folder.json("run/metrics.json");
    ["metrics", "metrics_before_training"].map(|when| {
        let value = results[when][name].as_f64();
        value.unwrap_or_else(|| panic!("{name} is not in {results}"))
    })
}

/// Metrics that a run must have, each a share.
pub(super) fn shares(folder: &Folder, names: &[&str]) {
    for name in names {
        for value in metric(folder, name) {
            assert!((0.0..=1.0).contains(&value), "{name}: {value}");
        }
    }
}

/// An interrupted run would go on: the resolved configuration is read as that of the run.
pub(super) fn resumes(folder: &Folder) {
    let out = folder.done(&["train", "run/dml.toml", "--dry-run"]);
    assert!(out.contains("[data]"), "{out}");
}

#[test]
fn every_recipe_is_here() {
    let files = fs::read_dir(root()).unwrap();
    let names: BTreeSet<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    let own = concat!(
        include_str!("images.rs"),
        include_str!("texts.rs"),
        include_str!("vectors.rs")
    );
    for name in &names {
        let stem = name.trim_end_matches(".toml");
        assert!(own.contains(&format!("\"{stem}\"")), "{stem} has no test");
        let text = fs::read_to_string(root().join(name)).unwrap();
        for head in ["# Data ", "# Command ", "# Expected ", "# Time "] {
            assert!(text.contains(head), "{name} has no line {head}");
        }
    }
    let guide = root().join("../../docs/guide/recipes.md");
    let guide = fs::read_to_string(guide).unwrap();
    for name in &names {
        assert!(guide.contains(name.as_str()), "{name} is not in the guide");
    }
    assert!(names.len() >= 12, "{names:?}");
}
