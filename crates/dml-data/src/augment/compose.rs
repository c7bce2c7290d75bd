//! Augmentations one after the other.

use std::sync::Arc;

use dml_core::{Result, mix_seed};

use super::{Augmentation, AugmentationConfig};
use crate::Image;

/// A list of augmentations in order; each draws from a seed of its own, so that changing one leaves the others' draws as
/// they were. An empty list changes nothing.
///
/// ```
/// use dml_data::Image;
/// use dml_data::augment::{Augmentation, Compose, HorizontalFlip, HorizontalFlipConfig, RandomCrop, RandomCropConfig};
///
/// let augmentation = Compose::default()
///     .with(RandomCrop::new(RandomCropConfig { padding: 1, ..RandomCropConfig::new([2, 3]) })?)
///     .with(HorizontalFlip::new(HorizontalFlipConfig { p: 0.5 })?);
/// assert_eq!(augmentation.output_shape([3, 4, 4])?, [3, 2, 3]);
/// let image = Image::new([1, 2, 3], vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6])?;
/// assert_eq!(augmentation.apply(image.clone(), 7)?, augmentation.apply(image, 7)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Compose {
    steps: Vec<Arc<dyn Augmentation>>,
}

impl Compose {
    /// The augmentations of a list of settings.
    ///
    /// # Errors
    /// As [`AugmentationConfig::build`].
    pub fn from_configs(configs: &[AugmentationConfig]) -> Result<Self> {
        let steps = configs.iter().map(AugmentationConfig::build);
        Ok(Self {
            steps: steps.collect::<Result<_>>()?,
        })
    }

    /// The augmentations so far and one more.
    #[must_use]
    pub fn with(mut self, step: impl Augmentation + 'static) -> Self {
        self.steps.push(Arc::new(step));
        self
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl Augmentation for Compose {
    fn apply(&self, image: Image, seed: u64) -> Result<Image> {
        let mut steps = (0..).zip(&self.steps);
        steps.try_fold(image, |image, (number, step)| {
            step.apply(image, mix_seed(seed, number))
        })
    }

    fn output_shape(&self, input: [usize; 3]) -> Result<[usize; 3]> {
        let mut steps = self.steps.iter();
        steps.try_fold(input, |shape, step| step.output_shape(shape))
    }
}
