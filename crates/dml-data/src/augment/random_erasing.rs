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

use super::{Augmentation, draw};
use crate::Image;

/// Draws until a rectangle fits.
const TRIES: usize = 10;

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
    p: f64,
    scale: [f64; 2],
    ratio: [f64; 2],
    value: f32,
}

impl RandomErasing {
    /// Paints over with a probability.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a probability, a range or a value out of bounds.
    pub fn new(config: RandomErasingConfig) -> Result<Self> {
        Ok(Self {
            p: draw::probability("p", config.p)?,
            scale: draw::share_range("scale", config.scale)?,
            ratio: draw::positive_range("ratio", config.ratio)?,
            value: check::finite("value", config.value)? as f32,
        })
    }
}

impl Augmentation for RandomErasing {
    fn apply(&self, mut image: Image, seed: u64) -> Result<Image> {
        let rng = &mut draw::generator(seed);
        if !rng.random_bool(self.p) {
            return Ok(image);
        }
        let (height, width) = (image.height(), image.width());
        for _ in 0..TRIES {
            let share = draw::between(self.scale[0], self.scale[1], rng);
            let area = share * (height * width) as f64;
            let ratio = draw::log_between(self.ratio[0], self.ratio[1], rng);
            let rows = (area * ratio).sqrt().round() as usize;
            let columns = (area / ratio).sqrt().round() as usize;
            if !(1..=height).contains(&rows) || !(1..=width).contains(&columns) {
                continue;
            }
            let top = rng.random_range(0..=(height - rows) as u64) as usize;
            let left = rng.random_range(0..=(width - columns) as u64) as usize;
            for plane in image.values_mut().chunks_exact_mut(height * width) {
                for row in plane.chunks_exact_mut(width).skip(top).take(rows) {
                    row[left..][..columns].fill(self.value);
                }
            }
            break;
        }
        Ok(image)
    }
}
