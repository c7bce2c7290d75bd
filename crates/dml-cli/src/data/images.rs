//! Folders and tables of images: what is learnt from, and the sets that embeddings are judged by.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, bail};
use dml::data::{ImageFiles, ImageFilesConfig, ImageFolder, ImagePreparation, Manifest, Role};
use dml::{Dataset, IntoLabels, Labels};

use super::{HeldOutRows, RunData};
use crate::evaluation::EvaluationSet;
use crate::settings::Settings;

/// Images to learn from, and what the result is judged by.
#[derive(Debug)]
pub struct ImageData {
    /// Images to learn from.
    pub train: ImageFiles,
    /// Everything else.
    pub run: RunData,
}

/// The images of a folder of class folders, or of the rows of a table.
///
/// # Errors
/// As [`ImageFolder::open`] and [`Manifest::read`].
pub fn open_images(
    path: &Path,
    split: Option<&str>,
    config: &ImageFilesConfig,
) -> anyhow::Result<ImageFiles> {
    if path.is_dir() {
        return Ok(ImageFolder::open(path, config.clone())?.files().clone());
    }
    Ok(table(path, split)?.images(config.clone())?)
}

fn table(path: &Path, split: Option<&str>) -> anyhow::Result<Manifest> {
    let manifest = Manifest::read(path)?;
    Ok(match split {
        None => manifest,
        Some(name) => manifest.split(name)?,
    })
}

/// The set of a folder or table: queries and a gallery, if the table has the column `role`, else images that look for each
/// other.
///
/// # Errors
/// As [`open_images`].
pub fn open_set(
    path: &Path,
    split: Option<&str>,
    preparation: &ImagePreparation,
) -> anyhow::Result<EvaluationSet> {
    let config = preparation.evaluation_files();
    if path.is_dir() {
        let images = open_images(path, split, config)?;
        return EvaluationSet::of_images(images, None, preparation);
    }
    let manifest = table(path, split)?;
    if manifest.entries().iter().all(|entry| entry.role.is_none()) {
        let images = manifest.images(config.clone())?;
        return EvaluationSet::of_images(images, None, preparation);
    }
    let part =
        |role| -> anyhow::Result<ImageFiles> { Ok(manifest.role(role)?.images(config.clone())?) };
    EvaluationSet::of_images(part(Role::Query)?, Some(part(Role::Gallery)?), preparation)
}

impl ImageData {
    /// Opens what the settings name.
    ///
    /// # Errors
    /// Data that can't be read, classes that there are not, and too few classes or images to learn from.
    pub fn open(settings: &Settings, preparation: &ImagePreparation) -> anyhow::Result<Self> {
        let data = &settings.data;
        let path = data.train.as_deref().context("no training data")?;
        let whole = open_images(
            path,
            data.train_split.as_deref(),
            preparation.evaluation_files(),
        )
        .with_context(|| settings.cite("data.train"))?;
        let mut skipped = whole.skipped().to_vec();
        let held = HeldOutRows::of(settings, Dataset::labels(&whole), whole.class_names())?;
        let of_rows = |rows: &[usize]| -> anyhow::Result<Option<EvaluationSet>> {
            match rows.is_empty() {
                true => Ok(None),
                false => {
                    let images = whole.select(rows)?;
                    EvaluationSet::of_images(images, None, preparation).map(Some)
                }
            }
        };
        let named = |field: &str, path: Option<&Path>, split: Option<&str>| {
            let source = match (path, split) {
                (None, None) => return Ok(None),
                (path, _) => path.or(data.train.as_deref()).unwrap_or(Path::new("")),
            };
            let set = open_set(source, split, preparation);
            set.with_context(|| settings.cite(field)).map(Some)
        };
        let test = match of_rows(&held.test)? {
            Some(set) => Some(set),
            None => named(
                "data.test",
                data.test.as_deref(),
                data.test_split.as_deref(),
            )?,
        };
        let validation = match of_rows(&held.validation)? {
            Some(set) => Some(set),
            None => {
                let split = data.validation_split.as_deref();
                named("data.validation", data.validation.as_deref(), split)?
            }
        };
        let train = whole.select(&held.train)?;
        let train = train.with_config(preparation.training_files().clone())?;
        let classes = class_names(&train);
        check_train(settings, &train, &classes)?;
        let mut notes = Vec::new();
        for (what, set) in [("test", &test), ("validation", &validation)] {
            if let Some(set) = set {
                skipped.extend(set.skipped().iter().cloned());
                notes.extend(shared_classes(what, &classes, set));
            }
        }
        if let Some(junk) = junk(&train) {
            notes.push(junk);
        }
        let run = RunData {
            train: format!(
                "{} images of {} classes",
                train.paths().len(),
                classes.len()
            ),
            rows: train.paths().len(),
            classes,
            validation,
            test,
            skipped,
            notes,
        };
        Ok(Self { train, run })
    }

    /// Labels of the training images, from 0 without gaps.
    ///
    /// # Errors
    /// Never in practice.
    pub fn dense_labels(&self) -> dml::Result<Labels> {
        let labels = Dataset::labels(&self.train).as_slice();
        let present: BTreeSet<i64> = labels.iter().copied().collect();
        let present: Vec<i64> = present.into_iter().collect();
        let dense = labels
            .iter()
            .map(|label| present.partition_point(|own| own < label) as i64);
        dense.collect::<Vec<i64>>().into_labels()
    }
}

/// The names of the classes that some image has, in the order of their labels.
fn class_names(images: &ImageFiles) -> Vec<String> {
    let labels = Dataset::labels(images).as_slice().iter();
    let present: BTreeSet<i64> = labels.copied().filter(|label| *label >= 0).collect();
    let names = present
        .iter()
        .filter_map(|label| images.class_names().get(*label as usize));
    names.cloned().collect()
}

fn check_train(settings: &Settings, train: &ImageFiles, classes: &[String]) -> anyhow::Result<()> {
    let path = || settings.cite("data.train");
    if classes.len() < 2 {
        let (left, expected) = (classes.len(), "at least 2 classes to learn from");
        bail!("{}: expected {expected}, got {left}", path());
    }
    let mut labels = Dataset::labels(train).as_slice().to_vec();
    labels.sort_unstable();
    if labels.windows(2).all(|pair| pair[0] != pair[1]) {
        bail!(
            "{}: expected a class with two images, and every class has one",
            path()
        );
    }
    Ok(())
}

fn junk(train: &ImageFiles) -> Option<String> {
    let junk = Dataset::labels(train)
        .as_slice()
        .iter()
        .filter(|label| **label < 0)
        .count();
    (junk > 0).then(|| format!("note: {junk} images of no class are learnt from as a class of their own; name a split without them"))
}

/// What to tell a user whose judged classes are not all unseen.
fn shared_classes(what: &str, train: &[String], set: &EvaluationSet) -> Option<String> {
    let judged = set.class_names();
    let shared: Vec<&str> = judged
        .iter()
        .filter(|name| train.contains(name))
        .map(String::as_str)
        .collect();
    if shared.is_empty() {
        return None;
    }
    const SHOWN: usize = 8;
    let more = if shared.len() > SHOWN { ", …" } else { "" };
    Some(format!(
        "note: {} of {} {what} classes are learnt from, too ({}{more}): the figures are not of unseen classes alone",
        shared.len(),
        judged.len(),
        shared[..shared.len().min(SHOWN)].join(", ")
    ))
}
