//! A blur of random width.
//!
//! ```text
//! y[i] = Σ_d g(d) · x[i + d] / Σ_d g(d),   g(d) = exp(−d² / 2σ²),   |d| <= ⌈3σ⌉,   σ uniform in sigma
//! ```
//!
//! Rows first, then columns; beyond the edge lies the pixel at the edge.

use dml_core::{Result, check};
use rand::Rng;

use super::{Augmentation, draw};
use crate::Image;

dml_core::config! {
    /// Configuration of [`GaussianBlur`].
    pub struct GaussianBlurConfig {
        /// The smallest and the largest standard deviation in pixels, `> 0` and at most 100. Default 0.1 and 2.
        pub sigma: [f64; 2] = [0.1, 2.0],
        /// How likely a picture is blurred, in `[0, 1]`. Default 0.5.
        pub p: f64 = 0.5,
    }
}

/// A blur, or none ([formula](self)). With the defaults that of Chen et al. 2020 (arXiv 2002.05709).
///
/// ```
/// use dml_data::Image;
/// use dml_data::augment::{Augmentation, GaussianBlur, GaussianBlurConfig};
///
/// let blur = GaussianBlur::new(GaussianBlurConfig { sigma: [1.0, 1.0], p: 1.0 })?;
/// let image = Image::new([1, 1, 3], vec![0.0, 1.0, 0.0])?;
/// let blurred = blur.apply(image, 0)?;
/// assert!(blurred.values()[1] < 0.5 && blurred.values()[0] > 0.2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct GaussianBlur {
    config: GaussianBlurConfig,
}

impl GaussianBlur {
    /// Blurs with a probability.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a range or a probability out of bounds.
    pub fn new(config: GaussianBlurConfig) -> Result<Self> {
        let [_, high] = draw::positive_range("sigma", config.sigma)?;
        check::parameter(high <= 100.0, "sigma", high, "at most 100 pixels")?;
        draw::probability("p", config.p)?;
        Ok(Self { config })
    }
}

impl Augmentation for GaussianBlur {
    fn apply(&self, image: Image, seed: u64) -> Result<Image> {
        let rng = &mut draw::generator(seed);
        let GaussianBlurConfig { sigma, p } = self.config;
        if !rng.random_bool(p) {
            return Ok(image);
        }
        let weights = weights(draw::between(sigma[0], sigma[1], rng));
        Ok(along(&along(&image, &weights, [0, 1]), &weights, [1, 0]))
    }
}

/// Of the distances from −⌈3σ⌉ to ⌈3σ⌉, with sum 1.
fn weights(sigma: f64) -> Vec<f32> {
    let radius = (3.0 * sigma).ceil() as i32;
    let weight = |d: i32| (-0.5 * (f64::from(d) / sigma).powi(2)).exp();
    let sum: f64 = (-radius..=radius).map(weight).sum();
    (-radius..=radius)
        .map(|d| (weight(d) / sum) as f32)
        .collect()
}

/// Weighted sums along a direction, `[0, 1]` for rows and `[1, 0]` for columns.
fn along(image: &Image, weights: &[f32], [down, right]: [usize; 2]) -> Image {
    let (height, width) = (image.height(), image.width());
    let radius = weights.len() / 2;
    Image::from_fn(image.shape(), |channel, y, x| {
        let plane = image.plane(channel);
        let terms = weights.iter().enumerate().map(|(i, weight)| {
            let y = (y + down * i).saturating_sub(down * radius).min(height - 1);
            let x = (x + right * i)
                .saturating_sub(right * radius)
                .min(width - 1);
            weight * plane[y * width + x]
        });
        terms.sum()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_becomes_a_bell() -> Result<()> {
        let sigma = 0.8;
        let blur = GaussianBlur::new(GaussianBlurConfig {
            sigma: [sigma, sigma],
            p: 1.0,
        })?;
        let point = |y, x| f32::from(u8::from(y == 4 && x == 5));
        let blurred = blur.apply(Image::from_fn([2, 9, 11], |_, y, x| point(y, x)), 0)?;
        let bell = |d: f64| (-d * d / (2.0 * sigma * sigma)).exp();
        let sum: f64 = (-3..=3).map(|d| bell(f64::from(d))).sum();
        for channel in 0..2 {
            let plane = blurred.plane(channel);
            for (dy, dx) in [(0, 0), (1, 0), (0, 2), (3, 3), (4, 0)] {
                let expected = if dy > 3 {
                    0.0
                } else {
                    bell(f64::from(dy)) * bell(f64::from(dx)) / (sum * sum)
                };
                let found = plane[(4 + dy as usize) * 11 + 5 + dx as usize];
                assert!(
                    (f64::from(found) - expected).abs() < 1e-6,
                    "{dy} {dx}: {found}"
                );
            }
        }
        Ok(())
    }

    #[test]
    fn one_colour_stays_one_colour_up_to_the_edge() -> Result<()> {
        let blur = GaussianBlur::new(GaussianBlurConfig {
            sigma: [5.0, 9.0],
            p: 1.0,
        })?;
        let blurred = blur.apply(Image::from_fn([1, 4, 3], |_, _, _| 0.7), 2)?;
        assert!(blurred.values().iter().all(|x| (x - 0.7).abs() < 1e-6));
        Ok(())
    }
}
