//! Folders and tables of images: what is learnt from, and the sets that embeddings are judged by.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, bail};
use dml::data::{ImageFiles, ImageFilesConfig, ImagePreparation, PairTable, Role};
use dml::{Dataset, IntoLabels, Labels};

use super::source::{LabelledFiles, Source};
use super::{HeldOutRows, RunData, check_set};
use crate::evaluation::EvaluationSet;
use crate::settings::{MethodName, Settings};

/// Images to learn from, and what the result is judged by.
#[derive(Debug)]
pub struct ImageData {
    /// Images to learn from.
    pub train: ImageFiles,
    /// The labels of all classes of each image to learn from, where images have several.
    pub label_sets: Option<Vec<Vec<i64>>>,
    /// Everything else.
    pub run: RunData,
}

/// The images of a folder of class folders, or of the rows of a table.
///
/// # Errors
/// As [`ImageFolder::open`](dml::data::ImageFolder::open) and [`Manifest::open`](dml::data::Manifest::open).
pub fn open_images(
    path: &Path,
    split: Option<&str>,
    config: &ImageFilesConfig,
) -> anyhow::Result<ImageFiles> {
    Ok(Source::plain(path, split).images(config)?.files)
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
    set_of(&Source::plain(path, split), preparation)
}

fn set_of(source: &Source<'_>, preparation: &ImagePreparation) -> anyhow::Result<EvaluationSet> {
    let config = preparation.evaluation_files();
    let manifest = match source.manifest()? {
        Some(manifest) if manifest.entries().iter().any(|entry| entry.role.is_some()) => manifest,
        _ => return set_of_images(source.images(config)?, preparation),
    };
    if manifest.entries().iter().any(|own| !own.labels.is_empty()) {
        bail!(
            "{}: expected one class for an image of a query or gallery, got several",
            source.path.display()
        );
    }
    let part =
        |role| -> anyhow::Result<ImageFiles> { Ok(manifest.role(role)?.images(config.clone())?) };
    EvaluationSet::of_images(part(Role::Query)?, Some(part(Role::Gallery)?), preparation)
}

fn set_of_images(
    images: LabelledFiles,
    preparation: &ImagePreparation,
) -> anyhow::Result<EvaluationSet> {
    let set = EvaluationSet::of_images(images.files, None, preparation)?;
    Ok(match images.label_sets {
        None => set,
        Some(sets) => set.with_label_sets(&sets),
    })
}

/// The pairs of images that the settings name: a table, or a list of a published data set.
fn pairs(
    settings: &Settings,
    preparation: &ImagePreparation,
) -> anyhow::Result<Option<EvaluationSet>> {
    let data = &settings.data;
    if let Some(path) = &data.test_pairs {
        let read = || -> anyhow::Result<EvaluationSet> {
            let (images, pairs) = PairTable::read(path)?.images()?;
            EvaluationSet::of_image_pairs(&images, &pairs, preparation)
        };
        return read()
            .with_context(|| settings.cite("data.test_pairs"))
            .map(Some);
    }
    let (Some(name), Some(folder)) = (&data.test_list, &data.train) else {
        return Ok(None);
    };
    let published = Source::of(settings, folder, None).published()?;
    let published = published.context("no published data set")?;
    let Some(pairs) = published.pairs(name) else {
        let names: Vec<&str> = published.pairs.iter().map(|own| own.0.as_str()).collect();
        let known = match names.is_empty() {
            true => "the data set has no list of pairs".to_owned(),
            false => format!("expected one of {}", names.join(", ")),
        };
        let sentence = format!("{known}, got {name}");
        return Err(settings.problem("data.test_list", sentence).into());
    };
    let set = EvaluationSet::of_image_pairs(&published.manifest, pairs, preparation);
    set.with_context(|| settings.cite("data.test_list"))
        .map(Some)
}

impl ImageData {
    /// Opens what the settings name.
    ///
    /// # Errors
    /// Data that can't be read, classes that there are not, and too few classes or images to learn from.
    pub fn open(settings: &Settings, preparation: &ImagePreparation) -> anyhow::Result<Self> {
        let data = &settings.data;
        let path = data.train.as_deref().context("no training data")?;
        let config = preparation.evaluation_files();
        let is_of_views = settings.method() == MethodName::UnsupervisedEmbeddingsUsingAugmentations;
        let holds_out = data.test_classes.is_some() || data.validation_classes.is_some();
        let source = Source {
            is_unlabelled: is_of_views && !holds_out,
            ..Source::of(settings, path, data.train_split.as_deref())
        };
        let cite = || settings.cite("data.train");
        let whole = source.images(config).with_context(cite)?;
        let mut skipped = whole.files.skipped().to_vec();
        let names = whole.files.class_names();
        let has_several = whole.label_sets.is_some();
        let labels = Dataset::labels(&whole.files);
        let held = HeldOutRows::of(settings, labels, names, has_several)?;
        let test_level = data.test_level.as_deref();
        // The same images by the classes that they are judged by.
        let judged = match test_level.filter(|_| holds_out) {
            None => whole.clone(),
            level => Source { level, ..source }
                .images(config)
                .with_context(cite)?,
        };
        let of_rows = |rows: &[usize]| -> anyhow::Result<Option<EvaluationSet>> {
            match rows.is_empty() {
                true => Ok(None),
                false => set_of_images(judged.select(rows)?, preparation).map(Some),
            }
        };
        let named = |field: &str, path: Option<&Path>, split: Option<&str>| {
            let path = match (path, split) {
                (None, None) => return Ok(None),
                (path, _) => path.or(data.train.as_deref()).unwrap_or(Path::new("")),
            };
            let source = Source::of(settings, path, split);
            let level = test_level.or(source.level);
            let set = set_of(&Source { level, ..source }, preparation);
            set.with_context(|| settings.cite(field)).map(Some)
        };
        let test = match (of_rows(&held.test)?, pairs(settings, preparation)?) {
            (Some(set), _) | (None, Some(set)) => Some(set),
            (None, None) => named(
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
        check_set(settings, "test", test.as_ref())?;
        check_set(settings, "validation", validation.as_ref())?;
        let own = whole.select(&held.train)?;
        let train = own
            .files
            .with_config(preparation.training_files().clone())?;
        let classes = match is_of_views {
            // No label is read.
            true => Vec::new(),
            false => {
                let classes = class_names(&train, own.label_sets.as_deref());
                check_train(settings, &train, &classes, own.label_sets.as_deref())?;
                classes
            }
        };
        let mut notes = Vec::new();
        for (what, set) in [("test", &test), ("validation", &validation)] {
            if let Some(set) = set {
                skipped.extend(set.skipped().iter().cloned());
                notes.extend(shared_classes(what, &classes, set));
            }
        }
        if !is_of_views && let Some(junk) = junk(&train) {
            notes.push(junk);
        }
        let rows = train.paths().len();
        let run = RunData {
            train: match (is_of_views, &own.label_sets) {
                (true, _) => format!("{rows} images without labels"),
                (false, None) => format!("{rows} images of {} classes", classes.len()),
                (false, Some(_)) => {
                    format!("{rows} images, each of some of {} classes", classes.len())
                }
            },
            rows,
            classes,
            validation,
            test,
            skipped,
            notes,
        };
        Ok(Self {
            train,
            label_sets: own.label_sets,
            run,
        })
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
fn class_names(images: &ImageFiles, sets: Option<&[Vec<i64>]>) -> Vec<String> {
    let labels = Dataset::labels(images).as_slice().iter();
    let all = labels.chain(sets.into_iter().flatten().flatten());
    let present: BTreeSet<i64> = all.copied().filter(|label| *label >= 0).collect();
    let names = present
        .iter()
        .filter_map(|label| images.class_names().get(*label as usize));
    names.cloned().collect()
}

fn check_train(
    settings: &Settings,
    train: &ImageFiles,
    classes: &[String],
    sets: Option<&[Vec<i64>]>,
) -> anyhow::Result<()> {
    let path = || settings.cite("data.train");
    if classes.len() < 2 {
        let (left, expected) = (classes.len(), "at least 2 classes to learn from");
        bail!("{}: expected {expected}, got {left}", path());
    }
    let mut labels = match sets {
        None => Dataset::labels(train).as_slice().to_vec(),
        Some(sets) => sets.concat(),
    };
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
