//! Left becomes right.
//!
//! ```text
//! y[c, i, j] = x[c, i, width − 1 − j]   with probability p
//! ```

use dml_core::Result;
use rand::Rng;

use super::{Augmentation, draw};
use crate::Image;

dml_core::config! {
    /// Configuration of [`HorizontalFlip`].
    pub struct HorizontalFlipConfig {
        /// How likely a picture is flipped, in `[0, 1]`. Default 0.5.
        pub p: f64 = 0.5,
    }
}

/// A flip, or none ([formula](self)).
///
/// ```
/// use dml_data::Image;
/// use dml_data::augment::{Augmentation, HorizontalFlip, HorizontalFlipConfig};
///
/// let flip = HorizontalFlip::new(HorizontalFlipConfig { p: 1.0 })?;
/// let image = Image::new([1, 1, 3], vec![0.1, 0.2, 0.3])?;
/// assert_eq!(flip.apply(image, 0)?.values(), [0.3, 0.2, 0.1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct HorizontalFlip {
    p: f64,
}

impl HorizontalFlip {
    /// Flips with a probability.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `p` is no probability.
    pub fn new(config: HorizontalFlipConfig) -> Result<Self> {
        let p = draw::probability("p", config.p)?;
        Ok(Self { p })
    }
}

impl Augmentation for HorizontalFlip {
    fn apply(&self, mut image: Image, seed: u64) -> Result<Image> {
        if draw::generator(seed).random_bool(self.p) {
            image.mirror();
        }
        Ok(image)
    }
}
