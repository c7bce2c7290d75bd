//! Brightness, contrast and saturation by random factors.
//!
//! ```text
//! brightness  y = f · x                       f uniform in [max(0, 1 − strength), 1 + strength], one for each
//! contrast    y = m + f · (x − m)             m: the mean luminance of the picture
//! saturation  y = l + f · (x − l)             l: the luminance of the pixel, 0.299 R + 0.587 G + 0.114 B
//! ```
//!
//! In random order, each followed by a cut to `[0, 1]`. A picture of one channel is its own luminance and has no
//! saturation. Krizhevsky, Sutskever, Hinton 2012 began it; the strengths of Chen, Kornblith, Norouzi, Hinton 2020, "A
//! Simple Framework for Contrastive Learning of Visual Representations" (arXiv 2002.05709) are up to 0.8.

use dml_core::{Result, check};
use rand::seq::SliceRandom;

use super::{Augmentation, draw};
use crate::Image;

dml_core::config! {
    /// Configuration of [`ColorJitter`]: strengths, finite and `>= 0`; 0 leaves a property as it is.
    pub struct ColorJitterConfig {
        /// Strength b of the brightness jitter: the factor is drawn from `[max(0, 1 − b), 1 + b]`. In `[0, 1e30]`. Default 0.
        pub brightness: f64 = 0.0,
        /// Strength of the contrast jitter, used as that of brightness. In `[0, 1e30]`. Default 0.
        pub contrast: f64 = 0.0,
        /// Strength of the saturation jitter, used as that of brightness. In `[0, 1e30]`. Default 0.
        pub saturation: f64 = 0.0,
    }
}

/// Random changes of colour ([formulas](self)) of pictures with one or three channels.
///
/// ```
/// use dml_data::Image;
/// use dml_data::augment::{Augmentation, ColorJitter, ColorJitterConfig};
///
/// let jitter = ColorJitter::new(ColorJitterConfig { brightness: 0.5, ..ColorJitterConfig::default() })?;
/// let image = Image::new([1, 1, 2], vec![0.2, 0.4])?;
/// let changed = jitter.apply(image, 0)?;
/// let factor = changed.values()[0] / 0.2;
/// assert!((0.5..=1.5).contains(&factor));
/// assert!((changed.values()[1] / 0.4 - factor).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ColorJitter {
    config: ColorJitterConfig,
}

/// Changes one property of a picture by a factor.
type Change = fn(&mut Image, f32);

impl ColorJitter {
    /// Changes colours.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a strength that is negative or not finite.
    pub fn new(config: ColorJitterConfig) -> Result<Self> {
        check::non_negative("brightness", config.brightness)?;
        check::non_negative("contrast", config.contrast)?;
        check::non_negative("saturation", config.saturation)?;
        Ok(Self { config })
    }
}

impl Augmentation for ColorJitter {
    fn apply(&self, mut image: Image, seed: u64) -> Result<Image> {
        self.output_shape(image.shape())?;
        let rng = &mut draw::generator(seed);
        let mut order: [(Change, f64); 3] = [
            (brightness, self.config.brightness),
            (contrast, self.config.contrast),
            (saturation, self.config.saturation),
        ];
        order.shuffle(rng);
        for (change, strength) in order {
            if strength > 0.0 {
                let low = (1.0 - strength).max(0.0);
                let factor = draw::between(low, 1.0 + strength, rng) as f32;
                change(&mut image, factor);
            }
        }
        Ok(image)
    }

    fn output_shape(&self, input: [usize; 3]) -> Result<[usize; 3]> {
        let fits = input[0] == 1 || input[0] == 3;
        check::dims(fits, "image", &input, "[1 or 3, height, width]")?;
        Ok(input)
    }
}

fn brightness(image: &mut Image, factor: f32) {
    for x in image.values_mut() {
        *x = (*x * factor).clamp(0.0, 1.0);
    }
}

fn contrast(image: &mut Image, factor: f32) {
    let luminance = luminance(image);
    let sum: f64 = luminance.iter().map(|&x| f64::from(x)).sum();
    let mean = (sum / luminance.len() as f64) as f32;
    for x in image.values_mut() {
        *x = (mean + factor * (*x - mean)).clamp(0.0, 1.0);
    }
}

fn saturation(image: &mut Image, factor: f32) {
    if image.channels() == 1 {
        return;
    }
    let luminance = luminance(image);
    for plane in image.values_mut().chunks_exact_mut(luminance.len()) {
        for (x, grey) in plane.iter_mut().zip(&luminance) {
            *x = (grey + factor * (*x - grey)).clamp(0.0, 1.0);
        }
    }
}

/// Of every pixel.
fn luminance(image: &Image) -> Vec<f32> {
    if image.channels() == 1 {
        return image.plane(0).to_vec();
    }
    let (red, green, blue) = (image.plane(0), image.plane(1), image.plane(2));
    let pixels = red.iter().zip(green).zip(blue);
    pixels
        .map(|((red, green), blue)| 0.299 * red + 0.587 * green + 0.114 * blue)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(values: &[f32], channels: usize, change: Change, factor: f32) -> Vec<f32> {
        let shape = [channels, 1, values.len() / channels];
        let mut image = Image::new(shape, values.to_vec()).unwrap();
        change(&mut image, factor);
        image.values().to_vec()
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{found:?} is not {expected:?}");
        }
    }

    #[test]
    fn each_property_by_hand() {
        let grey = [0.2, 0.6];
        assert_close(&changed(&grey, 1, brightness, 1.5), &[0.3, 0.9]);
        assert_close(&changed(&grey, 1, brightness, 2.0), &[0.4, 1.0]);
        assert_close(&changed(&grey, 1, contrast, 0.5), &[0.3, 0.5]);
        assert_close(&changed(&grey, 1, contrast, 4.0), &[0.0, 1.0]);
        assert_close(&changed(&grey, 1, saturation, 0.0), &grey);
        // Luminance 0.299.
        let red = [1.0, 0.0, 0.0];
        assert_close(&changed(&red, 3, saturation, 0.0), &[0.299; 3]);
        let half = [0.6495, 0.1495, 0.1495];
        assert_close(&changed(&red, 3, saturation, 0.5), &half);
        assert_close(&changed(&red, 3, contrast, 0.0), &[0.299; 3]);
    }

    #[test]
    fn the_order_is_random() -> Result<()> {
        let jitter = ColorJitter::new(ColorJitterConfig {
            brightness: 0.9,
            contrast: 0.9,
            saturation: 0.0,
        })?;
        // A factor a of brightness and b of contrast gives a·(m + b·(x − m)) in either order; only the cut tells them
        // apart, so what is looked at is the draw.
        let image = Image::new([1, 1, 2], vec![0.1, 0.9]).unwrap();
        let results = (0..40).map(|seed| Ok(jitter.apply(image.clone(), seed)?.values().to_vec()));
        let results: Vec<Vec<f32>> = results.collect::<Result<_>>()?;
        let first = &results[0];
        assert!(results.iter().any(|other| other != first));
        assert!(results.iter().flatten().all(|x| (0.0..=1.0).contains(x)));
        Ok(())
    }
}
