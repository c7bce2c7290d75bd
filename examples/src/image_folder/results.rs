//! What a run leaves behind.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use dml::core::folder_lock::FolderLock;
use dml::data::ImageFolder;
use dml::nn::Layer;
use serde::Serialize;

use super::Args;

/// What `metrics.json` holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Results {
    /// Every metric of the trained network by name.
    pub metrics: BTreeMap<String, f64>,
    /// The same before training: of random weights, or of pretrained ones with a random head.
    pub metrics_before_training: BTreeMap<String, f64>,
    /// The mean loss of every epoch.
    pub losses: Vec<f64>,
    /// Seconds that training took.
    pub train_seconds: f64,
    /// The folder that was learnt from.
    pub train: FolderSummary,
    /// The folder that was judged by.
    pub test: FolderSummary,
    /// Channels, height and width of the network's input.
    pub input: [usize; 3],
    /// What was asked for.
    pub config: Args,
}

/// What a folder holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FolderSummary {
    /// The folder.
    pub path: String,
    /// Pictures in it.
    pub images: usize,
    /// The names of its classes.
    pub classes: Vec<String>,
    /// The files and folders that were left out, and why.
    pub skipped: BTreeMap<String, String>,
}

impl FolderSummary {
    pub(super) fn of(folder: &ImageFolder) -> Self {
        let skipped = folder.skipped().iter();
        Self {
            path: folder.files().source().display().to_string(),
            images: folder.paths().len(),
            classes: folder.class_names().to_vec(),
            skipped: skipped
                .map(|file| (file.path.display().to_string(), file.reason.clone()))
                .collect(),
        }
    }
}

impl fmt::Display for FolderSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, images) = (&self.path, self.images);
        write!(
            f,
            "{path}: {images} pictures of {} classes",
            self.classes.len()
        )
    }
}

impl Results {
    /// The metrics before and after training, a line each.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = format!("{:<28} {:>10} {:>10}\n", "metric", "before", "after");
        for (name, trained) in &self.metrics {
            let before = self.metrics_before_training.get(name).copied();
            let before = before.unwrap_or(f64::NAN);
            // A string takes whatever is written to it.
            let _ = writeln!(table, "{name:<28} {before:>10.4} {trained:>10.4}");
        }
        table
    }

    /// Writes `metrics.json` and `model.safetensors`.
    pub(super) fn write(&self, network: &dyn Layer) -> anyhow::Result<()> {
        let folder = &self.config.out;
        dml::models::save(network, folder.join("model.safetensors"))?;
        write_whole(folder, "metrics.json", &serde_json::to_vec_pretty(self)?)
    }
}

/// Writes a file, whole or not at all.
pub(super) fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let path = folder.join(name);
    dml::core::durable::write(&path, bytes)
        .with_context(|| format!("can't write {}", path.display()))
}

/// A path as people read it: not every path is text.
pub(super) fn shown<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// The same of a path that may be absent.
pub(super) fn shown_if_given<S: serde::Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let path = path.as_ref().map(|path| path.display().to_string());
    path.serialize(serializer)
}

/// Makes the folder for the results, before time is spent on them, and locks it against other runs.
pub(super) fn create_folder(path: &Path) -> anyhow::Result<FolderLock> {
    fs::create_dir_all(path)
        .with_context(|| format!("can't make the folder {}", path.display()))?;
    FolderLock::acquire(path).context("--out")
}
