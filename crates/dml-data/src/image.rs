//! One image as numbers.

mod bytes;

use dml_core::candle_core::{Device, Tensor};
use dml_core::check;

use crate::{DataError, Result};
use bytes::Bytes;

/// An image `[channels, height, width]`: plane after plane, row after row, with values in `[0, 1]` unless a
/// normalisation moved them.
///
/// An image that comes from a file stays in bytes until its values are asked for. Crops, flips and normalisation work on
/// the bytes, and a crop is resized to the bytes that Pillow gives.
///
/// ```
/// use dml_data::Image;
///
/// let image = Image::new([1, 2, 3], vec![0.0, 0.1, 0.2, 0.3, 0.4, 0.5])?;
/// assert_eq!((image.channels(), image.height(), image.width()), (1, 2, 3));
/// assert_eq!(image.plane(0)[1 * 3 + 2], 0.5); // row 1, column 2
/// # Ok::<(), dml_data::DataError>(())
/// ```
#[derive(Clone)]
pub struct Image {
    shape: [usize; 3],
    pixels: Pixels,
}

/// The two ways in which an image is stored.
#[derive(Clone)]
enum Pixels {
    /// Plane after plane, row after row.
    Values(Vec<f32>),
    Bytes(Bytes),
}

impl Image {
    /// An image of shape `[channels, height, width]`.
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
        Ok(Self::from_values(shape, values))
    }

    /// An image from the value of each channel, row and column. The caller avoids empty shapes.
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
        Self::from_values(shape, values)
    }

    /// An image from one value per pixel and channel; the caller checks the number.
    pub(crate) fn from_values(shape: [usize; 3], values: Vec<f32>) -> Self {
        debug_assert_eq!(values.len(), shape.iter().product::<usize>());
        let pixels = Pixels::Values(values);
        Self { shape, pixels }
    }

    /// An image from the bytes of its pixels, pixel after pixel, row after row; byte 255 has value 1. A pixel has three bytes
    /// for three channels, or one byte for all channels. The caller checks the number.
    pub(crate) fn from_bytes(shape: [usize; 3], bytes: Vec<u8>) -> Self {
        let stored = bytes.len() / (shape[1] * shape[2]).max(1);
        let pixels = Pixels::Bytes(Bytes::new(bytes, stored));
        Self { shape, pixels }
    }

    /// `[channels, height, width]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// 1 for grey images, 3 for those of red, green and blue.
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
        match &self.pixels {
            Pixels::Values(values) => values,
            Pixels::Bytes(bytes) => bytes.values(self.shape[0]),
        }
    }

    /// The values, to be changed in place.
    pub fn values_mut(&mut self) -> &mut [f32] {
        if let Pixels::Bytes(bytes) = &mut self.pixels {
            self.pixels = Pixels::Values(bytes.take_values(self.shape[0]));
        }
        match &mut self.pixels {
            Pixels::Values(values) => values,
            // Replaced above.
            Pixels::Bytes(_) => &mut [],
        }
    }

    /// The values of a channel, row after row.
    ///
    /// # Panics
    /// If there is no such channel, as slices do.
    #[must_use]
    pub fn plane(&self, channel: usize) -> &[f32] {
        let area = self.shape[1] * self.shape[2];
        &self.values()[channel * area..][..area]
    }

    /// Writes all values, plane after plane, to a slice of their number.
    fn write(&self, values: &mut [f32]) {
        match &self.pixels {
            Pixels::Values(own) => values.copy_from_slice(own),
            Pixels::Bytes(bytes) => bytes.write(values, self.shape[0]),
        }
    }

    /// Replaces each value by `value(channel, value)`.
    pub(crate) fn map(&mut self, value: impl Fn(usize, f32) -> f32) {
        let [channels, height, width] = self.shape;
        match &mut self.pixels {
            Pixels::Bytes(bytes) => bytes.map(channels, value),
            Pixels::Values(values) => {
                let planes = values.chunks_exact_mut((height * width).max(1));
                for (channel, plane) in planes.enumerate() {
                    plane.iter_mut().for_each(|x| *x = value(channel, *x));
                }
            }
        }
    }

    /// Turns left into right.
    pub(crate) fn mirror(&mut self) {
        let width = self.shape[2].max(1);
        match &mut self.pixels {
            Pixels::Bytes(bytes) => bytes.mirror(width),
            Pixels::Values(values) => values.chunks_exact_mut(width).for_each(<[f32]>::reverse),
        }
    }

    /// The bytes of the pixels and their number per pixel, if the image is stored in bytes that nothing has changed the
    /// meaning of: byte 255 has value 1.
    pub(crate) fn plain_bytes(&self) -> Option<(&[u8], usize)> {
        match &self.pixels {
            Pixels::Values(_) => None,
            Pixels::Bytes(bytes) => bytes.plain(),
        }
    }

    /// Images of one shape as a tensor `[images, channels, height, width]` on the CPU.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) for an image of another shape than `shape`.
    pub fn stack(images: &[Image], shape: [usize; 3]) -> dml_core::Result<Tensor> {
        let mut stack = Stack::new(images.len(), shape);
        for image in images {
            stack.push(image)?;
        }
        stack.into_tensor()
    }
}

/// Images with the same values are equal, however they are stored.
impl PartialEq for Image {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape && self.values() == other.values()
    }
}

/// A batch of images of one shape that is filled image by image.
#[derive(Debug)]
pub(crate) struct Stack {
    values: Vec<f32>,
    shape: [usize; 3],
    filled: usize,
    count: usize,
}

impl Stack {
    /// An empty batch for `count` images.
    pub(crate) fn new(count: usize, shape: [usize; 3]) -> Self {
        Self {
            values: vec![0.0; count * shape.iter().product::<usize>()],
            shape,
            filled: 0,
            count,
        }
    }

    /// Writes the next image.
    pub(crate) fn push(&mut self, image: &Image) -> dml_core::Result<()> {
        let expected = "images of one shape [channels, height, width]";
        check::dims(image.shape == self.shape, "images", &image.shape, expected)?;
        debug_assert!(self.filled < self.count);
        let length = self.shape.iter().product::<usize>();
        image.write(&mut self.values[self.filled * length..][..length]);
        self.filled += 1;
        Ok(())
    }

    /// The batch `[images, channels, height, width]` on the CPU.
    pub(crate) fn into_tensor(self) -> dml_core::Result<Tensor> {
        debug_assert_eq!(self.filled, self.count);
        let [channels, height, width] = self.shape;
        let shape = (self.count, channels, height, width);
        Ok(Tensor::from_vec(self.values, shape, &Device::Cpu)?)
    }
}

/// Largest height and width that an image may be given, in pixels. A typing mistake beyond it would fill the memory.
pub(crate) const LONGEST: usize = 1 << 14;

/// `[height, width]`, if it is a size that images may be given.
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
    fn an_image_has_a_value_for_every_pixel() {
        let message = Image::new([3, 1, 2], vec![0.0; 5]).unwrap_err().to_string();
        assert_eq!(
            message,
            "image: expected 3 channels of 1 x 2 values, at least one, found 5 values"
        );
        assert!(Image::new([0, 1, 2], vec![]).is_err());
        assert!(Image::new([usize::MAX, 2, 2], vec![0.0; 4]).is_err());
    }

    #[test]
    fn images_of_one_shape_stack() -> dml_core::Result<()> {
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
            "images: expected shape images of one shape [channels, height, width], got [1, 1, 2]"
        );
        Ok(())
    }

    /// An image of 2 × 3 pixels in bytes, and the same in values.
    fn both(channels: usize, stored: usize) -> [Image; 2] {
        let bytes: Vec<u8> = (0..6 * stored).map(|i| (i * 37 % 256) as u8).collect();
        let values = Image::from_fn([channels, 2, 3], |channel, y, x| {
            f32::from(bytes[(y * 3 + x) * stored + channel.min(stored - 1)]) / 255.0
        });
        [Image::from_bytes([channels, 2, 3], bytes), values]
    }

    #[test]
    fn bytes_have_the_bits_of_values_whatever_is_done_to_them() -> dml_core::Result<()> {
        let bits =
            |image: &Image| -> Vec<u32> { image.values().iter().map(|x| x.to_bits()).collect() };
        for (channels, stored) in [(1, 1), (3, 1), (3, 3)] {
            let changes: [fn(&mut Image); 4] = [
                |_| {},
                |image| image.map(|channel, x| (x - 0.3) / (0.2 + channel as f32)),
                Image::mirror,
                |image| image.values_mut()[1] = 7.0,
            ];
            for first in changes {
                for second in changes {
                    let [mut a, mut b] = both(channels, stored);
                    for image in [&mut a, &mut b] {
                        first(image);
                        second(image);
                    }
                    assert_eq!(bits(&a), bits(&b));
                    assert_eq!(a, b);
                    let stacks = [&a, &b].map(|image| {
                        let stack =
                            Image::stack(std::slice::from_ref(image), image.shape()).unwrap();
                        stack.flatten_all().unwrap().to_vec1::<f32>().unwrap()
                    });
                    assert_eq!(stacks[0], stacks[1]);
                    assert_eq!(stacks[0], a.values());
                }
            }
        }
        Ok(())
    }
}
