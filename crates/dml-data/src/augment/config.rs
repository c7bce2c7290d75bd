//! Augmentations by name, as data.

use std::sync::Arc;

use dml_core::Result;

use super::{
    Affine, AffineConfig, Augmentation, ColorJitter, ColorJitterConfig, GaussianBlur,
    GaussianBlurConfig, HorizontalFlip, HorizontalFlipConfig, Normalize, NormalizeConfig,
    RandomCrop, RandomCropConfig, RandomErasing, RandomErasingConfig, RandomResizedCrop,
    RandomResizedCropConfig,
};

/// An augmentation and its parameters. With the feature `serde` it is read by name:
/// `{"name": "RandomCrop", "size": [24, 24], "padding": 2}`.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "name"))]
#[non_exhaustive]
pub enum AugmentationConfig {
    /// [`RandomResizedCrop`].
    RandomResizedCrop(RandomResizedCropConfig),
    /// [`RandomCrop`].
    RandomCrop(RandomCropConfig),
    /// [`HorizontalFlip`].
    HorizontalFlip(HorizontalFlipConfig),
    /// [`ColorJitter`].
    ColorJitter(ColorJitterConfig),
    /// [`GaussianBlur`].
    GaussianBlur(GaussianBlurConfig),
    /// [`RandomErasing`].
    RandomErasing(RandomErasingConfig),
    /// [`Affine`].
    Affine(AffineConfig),
    /// [`Normalize`].
    Normalize(NormalizeConfig),
}

impl AugmentationConfig {
    /// The augmentation.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a parameter outside of its range.
    pub fn build(&self) -> Result<Arc<dyn Augmentation>> {
        Ok(match self.clone() {
            Self::RandomResizedCrop(config) => Arc::new(RandomResizedCrop::new(config)?),
            Self::RandomCrop(config) => Arc::new(RandomCrop::new(config)?),
            Self::HorizontalFlip(config) => Arc::new(HorizontalFlip::new(config)?),
            Self::ColorJitter(config) => Arc::new(ColorJitter::new(config)?),
            Self::GaussianBlur(config) => Arc::new(GaussianBlur::new(config)?),
            Self::RandomErasing(config) => Arc::new(RandomErasing::new(config)?),
            Self::Affine(config) => Arc::new(Affine::new(config)?),
            Self::Normalize(config) => Arc::new(Normalize::new(config)?),
        })
    }
}
