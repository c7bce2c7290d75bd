//! Labelled grey images of one size in one block of memory, and batches of them as tensors.

use std::sync::Arc;

use dml_core::candle_core::{Device, Tensor};
use dml_core::{IntoLabels, Labels, check};
use rayon::prelude::*;

use crate::class_labels::check_labels;
use crate::subset::pick;
use crate::{DataError, Result};

/// How bytes become numbers: `(x / 255 − mean) / std`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// Mean of the pixels, in `[0, 1]`.
    pub mean: f32,
    /// Standard deviation of the pixels.
    pub std: f32,
}

impl Normalization {
    /// The mean and standard deviation of MNIST's training images: 0.1307 and 0.3081.
    pub const MNIST: Self = Self {
        mean: 0.1307,
        std: 0.3081,
    };
    /// Those of Fashion-MNIST's training images: 0.2860 and 0.3530.
    pub const FASHION_MNIST: Self = Self {
        mean: 0.2860,
        std: 0.3530,
    };
    /// From `[0, 255]` to `[0, 1]`, and nothing else.
    pub const UNIT: Self = Self {
        mean: 0.0,
        std: 1.0,
    };

    /// The number for every byte.
    fn table(self) -> [f32; 256] {
        std::array::from_fn(|x| (x as f32 / 255.0 - self.mean) / self.std)
    }
}

/// Images `[n, height, width]` of bytes, with a label each. Cloning is cheap.
///
/// ```
/// use dml_core::candle_core::Device;
/// use dml_data::{ImageDataset, Normalization};
///
/// let pixels = vec![0, 255, 255, 0, 51, 51, 51, 51];
/// let images = ImageDataset::new("two images", (2, 2), pixels, [3u8, 1], ["a", "b", "c", "d"])?;
/// assert_eq!((images.len(), images.image(1)), (2, &[51u8, 51, 51, 51][..]));
/// let batch = images.batch(&[1, 0, 1], Normalization::UNIT, &Device::Cpu)?; // [3, 1, 2, 2]
/// assert_eq!(batch.flatten_all()?.to_vec1::<f32>()?[2..6], [0.2, 0.2, 0.0, 1.0]);
/// assert_eq!(images.batch_labels(&[1, 0, 1])?.as_slice(), [1, 3, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ImageDataset {
    source: Arc<str>,
    height: usize,
    width: usize,
    pixels: Arc<[u8]>,
    labels: Labels,
    class_names: Arc<[String]>,
}

/// A training set and the test set that goes with it.
#[derive(Clone, Debug)]
pub struct TrainTest {
    /// The images to learn from.
    pub train: ImageDataset,
    /// The images to test with.
    pub test: ImageDataset,
}

impl ImageDataset {
    /// Images from their pixels, image after image, row after row.
    ///
    /// `source` says where they come from, for people to read. Labels are positions in `class_names`.
    ///
    /// # Errors
    /// [`DataError::Pixels`] if the images are not whole or of no size, [`DataError::LabelCount`] if there is not one
    /// label per image, [`DataError::Label`] if a label has no name, [`DataError::Core`] if the labels are a tensor
    /// of another kind than whole numbers `[images]`.
    pub fn new<S: Into<String>>(
        source: &str,
        (height, width): (usize, usize),
        pixels: Vec<u8>,
        labels: impl IntoLabels,
        class_names: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let area = height.saturating_mul(width);
        if area == 0 || !pixels.len().is_multiple_of(area) {
            return Err(DataError::Pixels {
                source_name: source.to_owned(),
                pixels: area,
                found: pixels.len(),
            });
        }
        let class_names: Arc<[String]> = class_names.into_iter().map(Into::into).collect();
        let labels = labels.into_labels()?;
        let known = 0..class_names.len() as i64;
        check_labels(source, labels.as_slice(), pixels.len() / area, known)?;
        Ok(Self {
            source: source.into(),
            height,
            width,
            pixels: pixels.into(),
            labels,
            class_names,
        })
    }

    /// How many images there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Height of an image in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Width of an image in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Where the images come from, such as `MNIST, test`.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The label of each image, a position in [`class_names`](Self::class_names).
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The names of the classes.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// All pixels, image after image, row after row.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The pixels of image `row`, row after row.
    ///
    /// # Panics
    /// If there is no such image, as slices do.
    #[must_use]
    pub fn image(&self, row: usize) -> &[u8] {
        let area = self.height * self.width;
        &self.pixels[row * area..][..area]
    }

    /// The images of `rows`, normalised: `[rows, 1, height, width]` of `f32`. Filled in parallel.
    ///
    /// # Errors
    /// [`Error::Index`](dml_core::Error::Index) for a row without an image, [`Error::Tensor`](dml_core::Error::Tensor)
    /// if the device can't hold the tensor.
    pub fn batch(
        &self,
        rows: &[usize],
        normalization: Normalization,
        device: &Device,
    ) -> dml_core::Result<Tensor> {
        check::indices("rows", rows.iter().copied(), self.len())?;
        let table = normalization.table();
        let area = self.height * self.width;
        let mut values = vec![0f32; rows.len() * area];
        values
            .par_chunks_mut(area)
            .with_min_len(16)
            .zip(rows)
            .for_each(|(out, &row)| {
                for (y, &x) in out.iter_mut().zip(self.image(row)) {
                    *y = table[usize::from(x)];
                }
            });
        let shape = (rows.len(), 1, self.height, self.width);
        Ok(Tensor::from_vec(values, shape, device)?)
    }

    /// The labels of `rows`.
    ///
    /// # Errors
    /// [`Error::Index`](dml_core::Error::Index) for a row without an image.
    pub fn batch_labels(&self, rows: &[usize]) -> dml_core::Result<Labels> {
        pick(&self.labels, rows)
    }

    /// The data set of `rows` alone, in their order.
    ///
    /// # Errors
    /// [`Error::Index`](dml_core::Error::Index) for a row without an image.
    pub fn subset(&self, rows: &[usize]) -> dml_core::Result<Self> {
        let labels = self.batch_labels(rows)?;
        let pixels: Vec<u8> = rows
            .iter()
            .flat_map(|&row| self.image(row))
            .copied()
            .collect();
        Ok(Self {
            pixels: pixels.into(),
            labels,
            ..self.clone()
        })
    }
}

dml_core::debug_fields!(ImageDataset, |own| {
    source: own.source, len: own.len(), height: own.height, width: own.width,
    classes: own.class_names.len(),
});

#[cfg(test)]
mod tests {
    use super::*;

    fn images(count: usize) -> ImageDataset {
        let pixels = (0..count * 6).map(|i| i as u8).collect();
        let labels: Vec<i64> = (0..count as i64).map(|i| i % 2).collect();
        ImageDataset::new("numbers", (2, 3), pixels, labels, ["even", "odd"]).unwrap()
    }

    #[test]
    fn a_batch_is_the_rows_asked_for_normalised() -> dml_core::Result<()> {
        let images = images(40);
        let rows: Vec<usize> = (0..100).map(|i| i * 7 % 40).collect();
        let batch = images.batch(&rows, Normalization::MNIST, &Device::Cpu)?;
        assert_eq!(batch.dims(), [100, 1, 2, 3]);
        for (values, &row) in batch.flatten(1, 3)?.to_vec2::<f32>()?.iter().zip(&rows) {
            for (&y, &x) in values.iter().zip(images.image(row)) {
                assert_eq!(
                    y.to_bits(),
                    ((f32::from(x) / 255.0 - 0.1307) / 0.3081).to_bits()
                );
            }
        }
        assert_eq!(
            images.batch(&[], Normalization::UNIT, &Device::Cpu)?.dims(),
            [0, 1, 2, 3]
        );
        Ok(())
    }

    #[test]
    fn a_subset_keeps_the_order_and_the_names() -> dml_core::Result<()> {
        let part = images(5).subset(&[3, 0, 3])?;
        assert_eq!(part.labels().as_slice(), [1, 0, 1]);
        assert_eq!(part.image(0), [18, 19, 20, 21, 22, 23]);
        assert_eq!(part.image(1), [0, 1, 2, 3, 4, 5]);
        assert_eq!(part.class_names(), ["even", "odd"]);
        Ok(())
    }

    #[test]
    fn rows_without_an_image_are_errors() {
        let images = images(5);
        let message = "rows[1]: expected an index below 5, got 5";
        let batch = images.batch(&[0, 5], Normalization::UNIT, &Device::Cpu);
        assert_eq!(batch.unwrap_err().to_string(), message);
        assert_eq!(
            images.batch_labels(&[0, 5]).unwrap_err().to_string(),
            message
        );
        assert_eq!(images.subset(&[0, 5]).unwrap_err().to_string(), message);
    }

    #[test]
    fn pixels_labels_and_names_must_fit() {
        let new = |size, pixels, labels: &[i64]| {
            ImageDataset::new("x", size, vec![0; pixels], labels, ["only"])
        };
        assert_eq!(
            new((2, 3), 7, &[0]).unwrap_err().to_string(),
            "x: expected a multiple of 6 bytes, one per pixel, found 7"
        );
        assert!(matches!(
            new((0, 3), 0, &[]),
            Err(DataError::Pixels { pixels: 0, .. })
        ));
        assert_eq!(
            new((1, 3), 6, &[0]).unwrap_err().to_string(),
            "x: expected 2 labels, one per image, found 1"
        );
        assert_eq!(
            new((1, 3), 6, &[0, 1]).unwrap_err().to_string(),
            "x: expected labels below 1, found 1 at position 1"
        );
        assert!(new((1, 3), 3, &[-1]).is_err());
    }
}
