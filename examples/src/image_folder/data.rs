//! The two folders.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::ensure;
use dml::Dataset;
use dml::data::augment::{
    ColorJitter, ColorJitterConfig, Compose, HorizontalFlip, HorizontalFlipConfig,
    RandomResizedCrop, RandomResizedCropConfig,
};
use dml::data::{AugmentedImages, ImageFilesConfig, ImageFolder, Unreadable};

use super::Args;

/// The pictures of a folder in colour, at least two classes of them and two pictures of one class.
pub(super) fn open(path: &Path, size: usize) -> anyhow::Result<ImageFolder> {
    let config = ImageFilesConfig {
        size: [size, size],
        channels: 3,
        unreadable: Unreadable::Skip,
        min_classes: 2,
        ..ImageFilesConfig::default()
    };
    let folder = ImageFolder::open(path, config)?;
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for label in folder.labels().as_slice() {
        *counts.entry(*label).or_default() += 1;
    }
    ensure!(
        counts.values().any(|&count| count > 1),
        "{}: expected a class with two pictures or more, found one picture of each class",
        path.display()
    );
    Ok(folder)
}

/// What the trainer reads: the pictures as they are, or changed at random.
pub(super) fn training_set(folder: &ImageFolder, args: &Args) -> anyhow::Result<Box<dyn Dataset>> {
    if !args.augment {
        return Ok(Box::new(folder.clone()));
    }
    let crop = RandomResizedCropConfig {
        scale: [0.6, 1.0],
        ..RandomResizedCropConfig::new([args.size, args.size])
    };
    let colours = ColorJitterConfig {
        brightness: 0.2,
        contrast: 0.2,
        saturation: 0.2,
    };
    let augmentation = Compose::default()
        .with(RandomResizedCrop::new(crop)?)
        .with(HorizontalFlip::new(HorizontalFlipConfig::default())?)
        .with(ColorJitter::new(colours)?);
    Ok(Box::new(AugmentedImages::new(
        folder.clone(),
        augmentation,
    )?))
}

/// What to tell a user whose test classes are not all unseen.
pub(super) fn shared_classes(train: &ImageFolder, test: &ImageFolder) -> Option<String> {
    let shared = |name: &&String| train.class_names().contains(name);
    let shared: Vec<&str> = test
        .class_names()
        .iter()
        .filter(shared)
        .map(String::as_str)
        .collect();
    if shared.is_empty() {
        return None;
    }
    Some(format!(
        "note: the figures are not of unseen classes alone, since {} of {} are in both folders: {}",
        shared.len(),
        test.class_names().len(),
        shared.join(", ")
    ))
}
