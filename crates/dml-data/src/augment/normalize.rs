//! A mean taken off each channel and a standard deviation divided by.
//!
//! ```text
//! y[c, i, j] = (x[c, i, j] − mean[c]) / std[c]
//! ```

use dml_core::{ImageInput, Result, check};

use super::Augmentation;
use crate::Image;

/// Configuration of [`Normalize`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct NormalizeConfig {
    /// The mean of each channel, or one for all: finite.
    pub mean: Vec<f64>,
    /// The standard deviation of each channel, or one for all: finite and `> 0`. As many as means.
    pub std: Vec<f64>,
}

impl NormalizeConfig {
    /// Those of the photos of `ImageNet`, which most published networks expect: means 0.485, 0.456 and 0.406, standard
    /// deviations 0.229, 0.224 and 0.225.
    #[must_use]
    pub fn image_net() -> Self {
        Self {
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
        }
    }

    /// Mean and standard deviation that a pretrained network expects.
    #[must_use]
    pub fn of_input(input: &ImageInput) -> Self {
        Self {
            mean: input.mean.to_vec(),
            std: input.std.to_vec(),
        }
    }
}

/// The last step before a network ([formula](self)).
///
/// ```
/// use dml_data::Image;
/// use dml_data::augment::{Augmentation, Normalize, NormalizeConfig};
///
/// let normalize = Normalize::new(NormalizeConfig { mean: vec![0.5], std: vec![0.25] })?;
/// let image = Image::new([2, 1, 1], vec![0.5, 1.0])?;
/// assert_eq!(normalize.apply(image, 0)?.values(), [0.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Normalize {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Normalize {
    /// Normalises channels.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for numbers out of range,
    /// [`Error::Length`](dml_core::Error::Length) unless there are as many of both, at least one.
    pub fn new(config: NormalizeConfig) -> Result<Self> {
        check::length("std", config.mean.len().max(1), config.std.len())?;
        check::length("mean", config.std.len(), config.mean.len())?;
        for (mean, std) in config.mean.iter().zip(&config.std) {
            check::finite("mean", *mean)?;
            check::positive("std", *std)?;
        }
        let single = |values: Vec<f64>| values.into_iter().map(|x| x as f32).collect();
        Ok(Self {
            mean: single(config.mean),
            std: single(config.std),
        })
    }
}

impl Augmentation for Normalize {
    fn apply(&self, mut image: Image, _: u64) -> Result<Image> {
        self.output_shape(image.shape())?;
        // One mean and one standard deviation are those of every channel.
        let last = self.mean.len() - 1;
        image.map(|channel, x| {
            let channel = channel.min(last);
            (x - self.mean[channel]) / self.std[channel]
        });
        Ok(image)
    }

    fn output_shape(&self, input: [usize; 3]) -> Result<[usize; 3]> {
        let fits = self.mean.len() == 1 || self.mean.len() == input[0];
        let expected = "[channels, height, width] with a mean for each channel";
        check::dims(fits, "image", &input, expected)?;
        Ok(input)
    }
}
