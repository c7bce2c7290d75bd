//! One picture as numbers.

use dml_core::candle_core::{Device, Tensor};
use dml_core::check;

use crate::{DataError, Result};

/// A picture `[channels, height, width]`: plane after plane, row after row, numbers in `[0, 1]` unless a
/// normalisation moved them.
///
/// ```
/// use dml_data::Image;
///
/// let image = Image::new([1, 2, 3], vec![0.0, 0.1, 0.2, 0.3, 0.4, 0.5])?;
/// assert_eq!((image.channels(), image.height(), image.width()), (1, 2, 3));
/// assert_eq!(image.plane(0)[1 * 3 + 2], 0.5); // row 1, column 2
/// # Ok::<(), dml_data::DataError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Image {
    shape: [usize; 3],
    values: Vec<f32>,
}

impl Image {
    /// A picture of shape `[channels, height, width]`.
    ///
    /// # Errors
    /// [`DataError::Values`] if there is not one value per pixel and channel, or no pixel.
    pub fn new(shape: [usize; 3], values: Vec<f32>) -> Result<Self> {
        let expected = shape.iter().fold(1usize, |n, &dim| n.saturating_mul(dim));
        if expected == 0 || values.len() != expected {
            return Err(DataError::Values {
                shape,
                found: values.len(),
            });
        }
        Ok(Self { shape, values })
    }

    /// A picture from the value of each channel, row and column. Empty shapes are the caller's fault to avoid.
    pub(crate) fn from_fn(
        shape: [usize; 3],
        mut value: impl FnMut(usize, usize, usize) -> f32,
    ) -> Self {
        let [channels, height, width] = shape;
        let mut values = Vec::with_capacity(channels * height * width);
        for channel in 0..channels {
            for y in 0..height {
                values.extend((0..width).map(|x| value(channel, y, x)));
            }
        }
        Self { shape, values }
    }

    /// A picture from one value per pixel and channel, which is the caller's to hold.
    pub(crate) fn from_values(shape: [usize; 3], values: Vec<f32>) -> Self {
        debug_assert_eq!(values.len(), shape.iter().product::<usize>());
        Self { shape, values }
    }

    /// `[channels, height, width]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// 1 for grey pictures, 3 for those of red, green and blue.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.shape[0]
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.shape[1]
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.shape[2]
    }

    /// All values, plane after plane, row after row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The values, to be changed in place.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The values of a channel, row after row.
    ///
    /// # Panics
    /// If there is no such channel, as slices do.
    #[must_use]
    pub fn plane(&self, channel: usize) -> &[f32] {
        let area = self.shape[1] * self.shape[2];
        &self.values[channel * area..][..area]
    }

    /// Pictures of one shape as a tensor `[images, channels, height, width]` on the CPU.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) for a picture of another shape than `shape`.
    pub fn stack(images: &[Image], shape: [usize; 3]) -> dml_core::Result<Tensor> {
        for image in images {
            let expected = "pictures of one shape [channels, height, width]";
            check::dims(image.shape == shape, "images", &image.shape, expected)?;
        }
        let [channels, height, width] = shape;
        let values: Vec<f32> = images
            .iter()
            .flat_map(|image| image.values.iter().copied())
            .collect();
        let shape = (images.len(), channels, height, width);
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }
}

/// Pixels of the longest side that is asked for in earnest; beyond it a typing mistake would fill the memory.
pub(crate) const LONGEST: usize = 1 << 14;

/// `[height, width]`, if it is a size that pictures may be asked to have.
pub(crate) fn check_size(
    name: &'static str,
    [height, width]: [usize; 2],
) -> dml_core::Result<[usize; 2]> {
    for side in [height, width] {
        let expected = "sides of 1 to 16384 pixels";
        check::parameter((1..=LONGEST).contains(&side), name, side as f64, expected)?;
    }
    Ok([height, width])
}

dml_core::debug_fields!(Image, |own| { shape: own.shape });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_a_value_for_every_pixel() {
        let message = Image::new([3, 1, 2], vec![0.0; 5]).unwrap_err().to_string();
        assert_eq!(
            message,
            "image: expected 3 channels of 1 x 2 values, at least one, found 5 values"
        );
        assert!(Image::new([0, 1, 2], vec![]).is_err());
        assert!(Image::new([usize::MAX, 2, 2], vec![0.0; 4]).is_err());
    }

    #[test]
    fn pictures_of_one_shape_stack() -> dml_core::Result<()> {
        let image = |shape, x| Image::from_fn(shape, |c, y, column| x + (c + y + column) as f32);
        let stack = Image::stack(&[image([2, 1, 2], 0.0), image([2, 1, 2], 10.0)], [2, 1, 2])?;
        assert_eq!(stack.dims(), [2, 2, 1, 2]);
        assert_eq!(
            stack.flatten_all()?.to_vec1::<f32>()?,
            [0., 1., 1., 2., 10., 11., 11., 12.]
        );
        assert_eq!(Image::stack(&[], [1, 4, 5])?.dims(), [0, 1, 4, 5]);
        let message = Image::stack(&[image([1, 1, 2], 0.0)], [2, 1, 2]).unwrap_err();
        assert_eq!(
            message.to_string(),
            "images: expected shape pictures of one shape [channels, height, width], got [1, 1, 2]"
        );
        Ok(())
    }
}
