//! What the rows of an index are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use dml::data::synthetic::{SyntheticDigits, SyntheticDigitsConfig};
use dml::data::{ImageDataset, MnistVariant};
use serde::{Deserialize, Serialize};

/// Digits drawn by a program, unless it is said how many.
const SYNTHETIC: usize = 10_000;

/// The file beside an index.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Gallery {
    /// `mnist` or `synthetic`.
    pub(super) source: String,
    /// The label of every row.
    pub(super) labels: Vec<i64>,
}

impl Gallery {
    fn path(index: &Path) -> PathBuf {
        let mut name = index.as_os_str().to_owned();
        name.push(".json");
        PathBuf::from(name)
    }

    pub(super) fn write(&self, index: &Path) -> anyhow::Result<()> {
        let path = Self::path(index);
        dml::core::durable::write(&path, &serde_json::to_vec(self)?)
            .with_context(|| format!("can't write {}", path.display()))
    }

    /// What an index of so many rows has beside it.
    pub(super) fn read(index: &Path, rows: usize) -> anyhow::Result<Self> {
        let path = Self::path(index);
        let text = fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
        let own: Self =
            serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        ensure!(
            own.labels.len() == rows,
            "{}: expected the labels of the {rows} rows of the index, got {}",
            path.display(),
            own.labels.len()
        );
        Ok(own)
    }
}

/// The training digits, and what they are called.
pub(super) fn digits(
    folder: Option<&Path>,
    limit: Option<usize>,
) -> anyhow::Result<(String, ImageDataset)> {
    ensure!(limit != Some(0), "--limit: expected at least 1, got 0");
    let Some(folder) = folder else {
        let digits = SyntheticDigits::new(SyntheticDigitsConfig::default())?;
        let sets = digits.train_test(limit.unwrap_or(SYNTHETIC), 1)?;
        return Ok(("synthetic".to_owned(), sets.train));
    };
    let variant = MnistVariant::Mnist;
    let sets = variant
        .load(folder)
        .with_context(|| format!("reading MNIST from {}", folder.display()))?;
    let count = limit.map_or(sets.train.len(), |limit| limit.min(sets.train.len()));
    let first: Vec<usize> = (0..count).collect();
    Ok((variant.name().to_owned(), sets.train.subset(&first)?))
}
