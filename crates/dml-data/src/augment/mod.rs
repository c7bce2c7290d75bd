//! Random changes of pictures that leave what they show as it is.
//!
//! ```text
//! picture' = augmentation(picture, seed)
//! ```
//!
//! An [`Augmentation`] is a pure function: the same picture and seed give the same result, whoever computes it and
//! whatever was computed before. [`Compose`] gives each of its steps a seed of its own, and
//! [`AugmentedImages`](crate::AugmentedImages) each row and view. By name, as in a file of settings,
//! [`AugmentationConfig`] has them all.
//!
//! | augmentation | what it does |
//! |---|---|
//! | [`RandomResizedCrop`] | a part of random size and proportions, brought to a fixed size |
//! | [`RandomCrop`] | a part of fixed size, from anywhere |
//! | [`HorizontalFlip`] | left becomes right |
//! | [`ColorJitter`] | brightness, contrast and saturation by random factors |
//! | [`GaussianBlur`] | a blur of random width |
//! | [`RandomErasing`] | a rectangle is painted over |
//! | [`Affine`] | turned, moved, scaled, sheared |
//! | [`Normalize`] | a mean taken off and a standard deviation divided by; nothing random |

pub mod affine;
pub mod color_jitter;
mod compose;
mod config;
mod draw;
pub mod gaussian_blur;
pub mod horizontal_flip;
pub mod normalize;
mod part;
pub mod random_crop;
pub mod random_erasing;
pub mod random_resized_crop;
mod resample;

use std::fmt::Debug;
use std::sync::Arc;

use dml_core::Result;

use crate::Image;

pub use affine::{Affine, AffineConfig};
pub use color_jitter::{ColorJitter, ColorJitterConfig};
pub use compose::Compose;
pub use config::AugmentationConfig;
pub use gaussian_blur::{GaussianBlur, GaussianBlurConfig};
pub use horizontal_flip::{HorizontalFlip, HorizontalFlipConfig};
pub use normalize::{Normalize, NormalizeConfig};
pub use random_crop::{RandomCrop, RandomCropConfig};
pub use random_erasing::{RandomErasing, RandomErasingConfig};
pub use random_resized_crop::{RandomResizedCrop, RandomResizedCropConfig};

/// A random change of a picture.
///
/// ```
/// use dml_data::augment::Augmentation;
/// use dml_data::Image;
///
/// /// Black becomes white.
/// #[derive(Debug)]
/// struct Invert;
/// impl Augmentation for Invert {
///     fn apply(&self, mut image: Image, _seed: u64) -> dml_core::Result<Image> {
///         image.values_mut().iter_mut().for_each(|x| *x = 1.0 - *x);
///         Ok(image)
///     }
/// }
/// let image = Image::new([1, 1, 2], vec![0.0, 0.25])?;
/// assert_eq!(Invert.apply(image, 0)?.values(), [1.0, 0.75]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Augmentation: Debug + Send + Sync {
    /// The changed picture, of shape [`output_shape`](Augmentation::output_shape).
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) for a picture that it can't be done to.
    fn apply(&self, image: Image, seed: u64) -> Result<Image>;

    /// `[channels, height, width]` of what becomes of a picture of shape `input`: by default the same.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) for a picture that it can't be done to.
    fn output_shape(&self, input: [usize; 3]) -> Result<[usize; 3]> {
        Ok(input)
    }
}

dml_core::forward!(Augmentation for [&T, Box<T>, Arc<T>] {
    fn apply(&self, image: Image, seed: u64) -> Result<Image>;
    fn output_shape(&self, input: [usize; 3]) -> Result<[usize; 3]>;
});

#[cfg(test)]
mod tests;
