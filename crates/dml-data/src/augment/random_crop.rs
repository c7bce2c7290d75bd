//! A part of fixed size, from anywhere.

use dml_core::{Result, check};
use rand::Rng;

use super::part::Part;
use super::resample::crop;
use super::{Augmentation, draw};
use crate::Image;
use crate::image::check_size;

dml_core::config! {
    /// Configuration of [`RandomCrop`].
    pub struct RandomCropConfig {
        /// Height and width of the part in pixels, 1 to 16,384.
        pub size: [usize; 2];
        /// Pixels of value 0 that are put around the picture first. Default 0.
        pub padding: usize = 0,
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
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a size or a padding out of range.
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
        let fits = height + around >= own_height && width + around >= own_width;
        let expected = "[channels, height, width], with padding at least as large as the part";
        check::dims(fits, "image", &input, expected)?;
        Ok([channels, own_height, own_width])
    }
}
