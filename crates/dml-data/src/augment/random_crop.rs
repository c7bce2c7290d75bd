//! A part of fixed size, from anywhere.

use dml_core::{Error, Result, check};
use rand::Rng;

use super::part::Part;
use super::resample::crop;
use super::{Augmentation, draw};
use crate::Image;
use crate::image::check_size;

/// Configuration of [`RandomCrop`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct RandomCropConfig {
    /// Height and width of the part in pixels, 1 to 16,384.
    pub size: [usize; 2],
    /// Pixels of value 0 that are put around the picture first. Default 0.
    #[cfg_attr(feature = "serde", serde(default))]
    pub padding: usize,
}

impl RandomCropConfig {
    /// Parts of that height and width, without padding.
    #[must_use]
    pub fn new(size: [usize; 2]) -> Self {
        Self { size, padding: 0 }
    }
}

/// A part of the padded picture, every place equally likely.
///
/// ```
/// use dml_data::Image;
/// use dml_data::augment::{Augmentation, RandomCrop, RandomCropConfig};
///
/// let crop = RandomCrop::new(RandomCropConfig::new([1, 2]))?;
/// let image = Image::new([1, 1, 4], vec![0.1, 0.2, 0.3, 0.4])?;
/// let part = crop.apply(image, 0)?;
/// assert!([[0.1, 0.2], [0.2, 0.3], [0.3, 0.4]].iter().any(|place| part.values() == place));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RandomCrop {
    config: RandomCropConfig,
}

impl RandomCrop {
    /// Cuts parts out.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a size or a padding out of range.
    pub fn new(config: RandomCropConfig) -> Result<Self> {
        let expected = "at most 16384 pixels";
        let padding = config.padding;
        check::parameter(padding <= 1 << 14, "padding", padding as f64, expected)?;
        check_size("size", config.size)?;
        Ok(Self { config })
    }
}

impl Augmentation for RandomCrop {
    fn apply(&self, image: Image, seed: u64) -> Result<Image> {
        self.output_shape(image.shape())?;
        let rng = &mut draw::generator(seed);
        let RandomCropConfig { size, padding } = self.config;
        let [height, width] = size;
        let around = 2 * padding;
        let top = rng.random_range(0..=(image.height() + around - height) as u64) as usize;
        let left = rng.random_range(0..=(image.width() + around - width) as u64) as usize;
        if padding == 0 {
            let part = Part {
                top,
                left,
                height,
                width,
            };
            return Ok(crop(&image, part));
        }
        let columns = image.width();
        Ok(Image::from_fn(
            [image.channels(), height, width],
            |channel, y, x| match (
                (top + y).checked_sub(padding),
                (left + x).checked_sub(padding),
            ) {
                (Some(y), Some(x)) if y < image.height() && x < columns => {
                    image.plane(channel)[y * columns + x]
                }
                _ => 0.0,
            },
        ))
    }

    fn output_shape(&self, input: [usize; 3]) -> Result<[usize; 3]> {
        let [channels, height, width] = input;
        let [own_height, own_width] = self.config.size;
        let around = 2 * self.config.padding;
        if height + around < own_height || width + around < own_width {
            return Err(Error::Shape {
                arg: "image",
                expected: "[channels, height, width], with padding at least as large as the part",
                got: input.to_vec(),
            });
        }
        Ok([channels, own_height, own_width])
    }
}
