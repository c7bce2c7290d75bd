//! The two folders.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::ensure;
use dml::Dataset;
use dml::core::{Crop, ImageInput};
use dml::data::augment::{
    Augmentation, ColorJitter, ColorJitterConfig, Compose, HorizontalFlip, HorizontalFlipConfig,
    Normalize, NormalizeConfig, RandomResizedCrop, RandomResizedCropConfig,
};
use dml::data::{AugmentedImages, ImageFilesConfig, ImageFolder, Unreadable};

/// Smallest and largest share of an image that a random crop keeps.
const KEPT: [f64; 2] = [0.6, 1.0];
/// Range of the changes of colour.
const COLOURS: ColorJitterConfig = ColorJitterConfig {
    brightness: 0.2,
    contrast: 0.2,
    saturation: 0.2,
};

/// How files become the input of a network.
#[derive(Debug)]
pub(super) struct Preparation {
    train: ImageFilesConfig,
    test: ImageFilesConfig,
    /// What happens to a decoded image in training.
    training: Option<Compose>,
    /// What happens to a decoded image outside of training.
    evaluation: Option<Normalize>,
}

impl Preparation {
    /// Images stretched to a square, with values from 0 to 1; cropped, mirrored and recoloured in training on request.
    pub(super) fn stretched(size: usize, augment: bool) -> anyhow::Result<Self> {
        let size = [size, size];
        let config = ImageFilesConfig {
            size,
            ..ImageFilesConfig::default()
        };
        let training = augment.then(|| with_colours(crop_and_flip(size)?));
        Ok(Self {
            train: config.clone(),
            test: config,
            training: training.transpose()?,
            evaluation: None,
        })
    }

    /// Images as a backbone states them. In training they are cropped out of the resized image and mirrored, and recoloured
    /// on request.
    pub(super) fn of_input(
        input: &ImageInput,
        size: Option<usize>,
        recolour: bool,
    ) -> anyhow::Result<Self> {
        let input = size.map_or_else(|| input.clone(), |size| with_size(input, size));
        // A random crop takes its part from all that the evaluation resizes, not from the centre that it keeps.
        let mut uncropped = input.clone();
        if input.crop == Crop::Center {
            uncropped.size = [input.resize, input.resize];
        }
        let normalize = Normalize::new(NormalizeConfig::of_input(&input))?;
        let mut training = crop_and_flip(input.size)?;
        if recolour {
            training = with_colours(training)?;
        }
        Ok(Self {
            train: ImageFilesConfig::of_input(&uncropped)?,
            test: ImageFilesConfig::of_input(&input)?,
            training: Some(training.with(normalize.clone())),
            evaluation: Some(normalize),
        })
    }

    /// The folder to learn from.
    pub(super) fn open_train(&self, path: &Path) -> anyhow::Result<ImageFolder> {
        open(path, &self.train)
    }

    /// The folder to test with.
    pub(super) fn open_test(&self, path: &Path) -> anyhow::Result<ImageFolder> {
        open(path, &self.test)
    }

    /// What the trainer reads.
    pub(super) fn training_set(&self, folder: &ImageFolder) -> dml::Result<Box<dyn Dataset>> {
        dataset(folder, self.training.as_ref())
    }

    /// What the evaluation reads.
    pub(super) fn test_set(&self, folder: &ImageFolder) -> dml::Result<Box<dyn Dataset>> {
        dataset(folder, self.evaluation.as_ref())
    }
}

fn with_colours(augmentation: Compose) -> dml::Result<Compose> {
    Ok(augmentation.with(ColorJitter::new(COLOURS)?))
}

fn crop_and_flip(size: [usize; 2]) -> dml::Result<Compose> {
    let crop = RandomResizedCropConfig {
        scale: KEPT,
        ..RandomResizedCropConfig::new(size)
    };
    Ok(Compose::default()
        .with(RandomResizedCrop::new(crop)?)
        .with(HorizontalFlip::new(HorizontalFlipConfig::default())?))
}

/// Square images of another size, resized in the same proportion.
fn with_size(input: &ImageInput, size: usize) -> ImageInput {
    let mut input = input.clone();
    let longest = input.size[0].max(input.size[1]).max(1);
    input.resize = input.resize * size / longest;
    input.size = [size, size];
    input
}

fn dataset<A: Augmentation + Clone + 'static>(
    folder: &ImageFolder,
    augmentation: Option<&A>,
) -> dml::Result<Box<dyn Dataset>> {
    let folder = folder.clone();
    Ok(match augmentation {
        None => Box::new(folder),
        Some(augmentation) => Box::new(AugmentedImages::new(folder, augmentation.clone())?),
    })
}

/// The pictures of a folder in colour, at least two classes of them and two pictures of one class.
fn open(path: &Path, config: &ImageFilesConfig) -> anyhow::Result<ImageFolder> {
    let config = ImageFilesConfig {
        channels: 3,
        unreadable: Unreadable::Skip,
        min_classes: 2,
        ..config.clone()
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

#[cfg(test)]
mod tests {
    use dml::core::ChannelOrder;

    use super::*;

    #[test]
    fn another_size_keeps_the_proportion_of_the_resizing() {
        let input = ImageInput::imagenet(224, 256);
        let smaller = with_size(&input, 112);
        assert_eq!((smaller.size, smaller.resize), ([112, 112], 128));
        assert_eq!(with_size(&input, 32).resize, 36);
        assert_eq!(with_size(&input, 224), input);
        assert!(
            with_size(&ImageInput::imagenet(224, 224), 33)
                .check()
                .is_ok()
        );
    }

    #[test]
    fn a_random_crop_is_taken_from_the_whole_resized_image() -> anyhow::Result<()> {
        let input = ImageInput::imagenet(224, 256);
        let preparation = Preparation::of_input(&input, Some(112), false)?;
        assert_eq!(preparation.train.size, [128, 128]);
        assert_eq!(preparation.test.size, [112, 112]);
        let training = preparation.training.unwrap();
        assert_eq!(training.output_shape([3, 128, 128])?, [3, 112, 112]);
        assert_eq!(training.len(), 3);
        Ok(())
    }

    #[test]
    fn another_order_of_channels_is_refused() {
        let mut input = ImageInput::imagenet(224, 256);
        input.channel_order = ChannelOrder::Bgr;
        let error = Preparation::of_input(&input, None, false).unwrap_err();
        assert!(error.to_string().ends_with("got Bgr"), "{error}");
    }
}
