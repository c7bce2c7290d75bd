//! The image that a pretrained network expects.

use crate::{Result, check};

/// Largest height or width of an image, in pixels.
const LARGEST_SIDE: usize = 1 << 15;

/// Preprocessing of images for a network, as data: resizing, crop, scale of the pixels and order of the channels.
///
/// ```text
/// image ── resize ──▶ crop to `size` ──▶ (pixel / 255 − mean) / std ──▶ [channels, height, width]
/// ```
///
/// Networks state it (`dml_models::Backbone::image_input`), and data sets read it.
///
/// ```
/// use dml_core::{Crop, ImageInput};
///
/// let input = ImageInput::imagenet(224, 256);
/// assert_eq!((input.size, input.resize, input.crop), ([224, 224], 256, Crop::Center));
/// input.check()?;
/// // A value of 255 in the first channel.
/// let value = (1.0 - input.mean[0]) / input.std[0];
/// assert!((value - 2.2489).abs() < 1e-4);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct ImageInput {
    /// Height and width of the network's input in pixels, 1 to 32,768.
    pub size: [usize; 2],
    /// Length of the shortest side after resizing, in pixels, 1 to 32,768; the other side keeps the aspect ratio. Must be at
    /// least as long as the longer side of `size`. Not read with [`Crop::None`].
    pub resize: usize,
    /// How the resized image is reduced to `size`.
    pub crop: Crop,
    /// Mean of each channel of pixels in [0, 1], in the order of `channel_order`.
    pub mean: [f64; 3],
    /// Standard deviation of each channel of pixels in [0, 1], in the order of `channel_order`; in `[1e-30, 1e30]`.
    pub std: [f64; 3],
    /// Filter of the resizing. It is antialiased: its support grows with the factor of a reduction.
    pub interpolation: Interpolation,
    /// Order of the channels.
    pub channel_order: ChannelOrder,
}

/// How a resized image is reduced to the network's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Crop {
    /// The centre of the image.
    #[default]
    Center,
    /// No crop: the image is resized to the input's height and width, whatever its aspect ratio.
    None,
}

/// Filter with which images are resized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Interpolation {
    /// The nearest pixel.
    Nearest,
    /// Triangle filter.
    #[default]
    Bilinear,
    /// Cubic convolution with a = −0.5, as Pillow's `BICUBIC`.
    Bicubic,
    /// Windowed sinc with three lobes.
    Lanczos,
}

/// Order of the colour channels of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ChannelOrder {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red.
    Bgr,
}

impl ImageInput {
    /// Mean of ImageNet's pixels by channel (red, green, blue).
    pub const IMAGENET_MEAN: [f64; 3] = [0.485, 0.456, 0.406];
    /// Standard deviation of ImageNet's pixels by channel (red, green, blue).
    pub const IMAGENET_STD: [f64; 3] = [0.229, 0.224, 0.225];

    /// Square RGB images of `size` pixels a side with ImageNet's mean and standard deviation: bilinear resizing of the
    /// shortest side to `resize`, then a crop of the centre.
    #[must_use]
    pub fn imagenet(size: usize, resize: usize) -> Self {
        Self::new(
            [size, size],
            resize,
            Self::IMAGENET_MEAN,
            Self::IMAGENET_STD,
        )
    }

    /// RGB images with bilinear resizing and a crop of the centre; other settings are fields.
    #[must_use]
    pub fn new(size: [usize; 2], resize: usize, mean: [f64; 3], std: [f64; 3]) -> Self {
        Self {
            size,
            resize,
            crop: Crop::Center,
            mean,
            std,
            interpolation: Interpolation::Bilinear,
            channel_order: ChannelOrder::Rgb,
        }
    }

    /// Whether every number is in its range.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](crate::Error::InvalidParameter) or [`Error::Count`](crate::Error::Count) for the
    /// first field that is not.
    pub fn check(&self) -> Result<()> {
        for side in self.size {
            check::count("size", side, LARGEST_SIDE)?;
        }
        if self.crop == Crop::Center {
            check::count("resize", self.resize, LARGEST_SIDE)?;
            let longest = self.size[0].max(self.size[1]);
            let expected = "a length of at least the longer side of size";
            check::whole(self.resize >= longest, "resize", self.resize, expected)?;
        }
        for (mean, std) in self.mean.into_iter().zip(self.std) {
            check::finite("mean", mean)?;
            check::positive("std", std)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        let good = ImageInput::imagenet(224, 256);
        assert!(good.check().is_ok());
        let with = |change: fn(&mut ImageInput)| {
            let mut input = good.clone();
            change(&mut input);
            input.check().unwrap_err().to_string()
        };
        assert!(with(|input| input.size = [0, 224]).starts_with("size:"));
        assert!(with(|input| input.size = [224, 1 << 16]).starts_with("size:"));
        assert!(with(|input| input.resize = 223).starts_with("resize:"));
        assert!(with(|input| input.mean[1] = f64::NAN).starts_with("mean:"));
        assert!(with(|input| input.std[2] = 0.0).starts_with("std:"));
        // Without a crop, the length is not read.
        let squeezed = ImageInput {
            crop: Crop::None,
            resize: 0,
            ..good
        };
        assert!(squeezed.check().is_ok());
    }
}
