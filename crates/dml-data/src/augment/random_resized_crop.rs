//! A part of random size and proportions, brought to a fixed size.
//!
//! ```text
//! area = s · height · width,   s uniform in scale
//! width / height of the part = r,   ln r uniform between the logarithms of ratio
//! ```
//!
//! Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich, "Going Deeper with Convolutions", 2014,
//! arXiv:1409.4842, §6. The part is resized by an antialiased bilinear filter, an image from a file to the bytes that Pillow
//! gives. A part that reaches beyond the picture is drawn again, ten times at most; then it is the largest
//! one from the middle whose proportions are within the range.

use dml_core::Result;
use rand::Rng;

use super::part::Part;
use super::resample::resized;
use super::{Augmentation, draw};
use crate::Image;
use crate::image::check_size;

dml_core::config! {
    /// Configuration of [`RandomResizedCrop`].
    pub struct RandomResizedCropConfig {
        /// Height and width of the result in pixels, 1 to 16,384.
        pub size: [usize; 2];
        /// The smallest and the largest share of the picture's area, in (0, 1]. Default 0.08 and 1.
        pub scale: [f64; 2] = [0.08, 1.0],
        /// The smallest and the largest width by height, `> 0`. Default 3/4 and 4/3.
        pub ratio: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0],
    }
}

/// A random part in a fixed size ([rule](self)); of pictures of any size.
///
/// ```
/// use dml_data::Image;
/// use dml_data::augment::{Augmentation, RandomResizedCrop, RandomResizedCropConfig};
///
/// let crop = RandomResizedCrop::new(RandomResizedCropConfig::new([4, 5]))?;
/// let image = Image::new([3, 20, 30], vec![0.5; 3 * 20 * 30])?;
/// assert_eq!(crop.apply(image, 0)?.shape(), [3, 4, 5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RandomResizedCrop {
    config: RandomResizedCropConfig,
}

impl RandomResizedCrop {
    /// Cuts parts out and resizes them.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a size or a range outside of its bounds.
    pub fn new(config: RandomResizedCropConfig) -> Result<Self> {
        check_size("size", config.size)?;
        draw::share_range("scale", config.scale)?;
        draw::positive_range("ratio", config.ratio)?;
        Ok(Self { config })
    }

    fn draw(&self, height: usize, width: usize, rng: &mut impl Rng) -> Part {
        let RandomResizedCropConfig { scale, ratio, .. } = self.config;
        let sides = |area: f64, ratio: f64| [area / ratio, area * ratio];
        let drawn = Part::draw([height, width], scale, ratio, sides, rng);
        drawn.unwrap_or_else(|| self.middle(height, width))
    }

    /// The largest part from the middle with proportions within the range.
    fn middle(&self, height: usize, width: usize) -> Part {
        let own = width as f64 / height as f64;
        let ratio = own.clamp(self.config.ratio[0], self.config.ratio[1]);
        let rows = if own < ratio {
            (width as f64 / ratio).round().max(1.0) as usize
        } else {
            height
        };
        let columns = if own > ratio {
            (height as f64 * ratio).round().max(1.0) as usize
        } else {
            width
        };
        let (rows, columns) = (rows.min(height), columns.min(width));
        Part {
            top: (height - rows) / 2,
            left: (width - columns) / 2,
            height: rows,
            width: columns,
        }
    }
}

impl Augmentation for RandomResizedCrop {
    fn apply(&self, image: Image, seed: u64) -> Result<Image> {
        let part = self.draw(image.height(), image.width(), &mut draw::generator(seed));
        Ok(resized(&image, part, self.config.size))
    }

    fn output_shape(&self, [channels, ..]: [usize; 3]) -> Result<[usize; 3]> {
        let [height, width] = self.config.size;
        Ok([channels, height, width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crop(scale: [f64; 2], ratio: [f64; 2]) -> RandomResizedCrop {
        let config = RandomResizedCropConfig {
            scale,
            ratio,
            ..RandomResizedCropConfig::new([4, 4])
        };
        RandomResizedCrop::new(config).unwrap()
    }

    #[test]
    fn parts_have_the_area_and_the_proportions_asked_for() {
        let crop = crop([0.1, 0.5], [0.5, 2.0]);
        let rng = &mut draw::generator(0);
        for _ in 0..500 {
            let part = crop.draw(200, 300, rng);
            assert!(part.top + part.height <= 200 && part.left + part.width <= 300);
            let share = (part.height * part.width) as f64 / 6e4;
            assert!((0.09..0.51).contains(&share), "{part:?}");
            let ratio = part.width as f64 / part.height as f64;
            assert!((0.48..2.07).contains(&ratio), "{part:?}");
        }
    }

    #[test]
    fn where_nothing_fits_it_is_the_middle() {
        // All of a wide picture can't be a square.
        let square = crop([1.0, 1.0], [1.0, 1.0]);
        let part = square.draw(10, 40, &mut draw::generator(0));
        let middle = Part {
            top: 0,
            left: 15,
            height: 10,
            width: 10,
        };
        assert_eq!(part, middle);
        let part = square.draw(40, 10, &mut draw::generator(0));
        assert_eq!((part.top, part.height, part.width), (15, 10, 10));
        let part = crop([1.0, 1.0], [0.01, 0.01]).middle(10, 40);
        assert_eq!((part.height, part.width, part.left), (10, 1, 19));
    }

    #[test]
    fn all_of_a_picture_is_the_picture() -> Result<()> {
        let image = Image::from_fn([2, 4, 4], |c, y, x| (c * 16 + y * 4 + x) as f32);
        let all = crop([1.0, 1.0], [1.0, 1.0]);
        assert_eq!(all.apply(image.clone(), 3)?, image);
        Ok(())
    }
}
