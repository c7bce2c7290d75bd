//! A rectangle is painted over, so that no single part of a picture is relied on.
//!
//! ```text
//! area = s · height · width,   s uniform in scale
//! height / width of the rectangle = r,   ln r uniform between the logarithms of ratio
//! ```
//!
//! Zhong, Zheng, Kang, Li, Yang, "Random Erasing Data Augmentation", 2017, arXiv:1708.04896, which draws r itself
//! uniformly. A rectangle that does not fit is drawn again, ten times at most; then the picture stays as it is.

use dml_core::{Result, check};
use rand::Rng;

use super::part::Part;
use super::{Augmentation, draw};
use crate::Image;

dml_core::config! {
    /// Configuration of [`RandomErasing`].
    pub struct RandomErasingConfig {
        /// How likely a picture gets a rectangle, in `[0, 1]`. Default 0.5.
        pub p: f64 = 0.5,
        /// The smallest and the largest share of the picture's area, in (0, 1]. Default 0.02 and 0.33.
        pub scale: [f64; 2] = [0.02, 0.33],
        /// The smallest and the largest height by width, `> 0`. Default 0.3 and 3.3.
        pub ratio: [f64; 2] = [0.3, 3.3],
        /// What is painted; in `[-1e30, 1e30]`. Default 0.
        pub value: f64 = 0.0,
    }
}

/// One rectangle over all channels, or none ([rule](self)).
///
/// ```
/// use dml_data::Image;
/// use dml_data::augment::{Augmentation, RandomErasing, RandomErasingConfig};
///
/// let config = RandomErasingConfig { p: 1.0, scale: [0.25, 0.25], ratio: [1.0, 1.0], value: 0.5 };
/// let image = Image::new([1, 4, 4], vec![1.0; 16])?;
/// let erased = RandomErasing::new(config)?.apply(image, 0)?;
/// assert_eq!(erased.values().iter().filter(|x| **x == 0.5).count(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RandomErasing {
    config: RandomErasingConfig,
}

impl RandomErasing {
    /// Paints over with a probability.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a probability, a range or a value out of bounds.
    pub fn new(config: RandomErasingConfig) -> Result<Self> {
        draw::probability("p", config.p)?;
        draw::share_range("scale", config.scale)?;
        draw::positive_range("ratio", config.ratio)?;
        check::finite("value", config.value)?;
        Ok(Self { config })
    }
}

impl Augmentation for RandomErasing {
    fn apply(&self, mut image: Image, seed: u64) -> Result<Image> {
        let rng = &mut draw::generator(seed);
        let RandomErasingConfig {
            p,
            scale,
            ratio,
            value,
        } = self.config;
        if !rng.random_bool(p) {
            return Ok(image);
        }
        let [_, height, width] = image.shape();
        let sides = |area: f64, ratio: f64| [area * ratio, area / ratio];
        if let Some(part) = Part::draw([height, width], scale, ratio, sides, rng) {
            for plane in image.values_mut().chunks_exact_mut(height * width) {
                for row in plane
                    .chunks_exact_mut(width)
                    .skip(part.top)
                    .take(part.height)
                {
                    row[part.left..][..part.width].fill(value as f32);
                }
            }
        }
        Ok(image)
    }
}
