//! Images in memory as a data set to train on.

use dml_core::candle_core::Device;
use dml_core::{Dataset, Examples, Labels, Result};

use crate::{ImageDataset, Normalization};

/// Images with the way that their bytes become numbers: a [`Dataset`] of `[rows, 1, height, width]`.
///
/// ```
/// use dml_core::Dataset;
/// use dml_data::{ImageDataset, Normalization};
///
/// let images = ImageDataset::new("two images", (1, 2), vec![0, 255, 51, 51], [3u8, 1], ["a", "b", "c", "d"])?;
/// let examples = images.normalized(Normalization::UNIT).fetch(&[1, 0], 0)?;
/// assert_eq!(examples.views()[0].flatten_all()?.to_vec1::<f32>()?, [0.2, 0.2, 0.0, 1.0]);
/// assert_eq!(examples.labels().as_slice(), [1, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct NormalizedImages {
    images: ImageDataset,
    normalization: Normalization,
}

impl ImageDataset {
    /// These images as a data set to train on.
    #[must_use]
    pub fn normalized(self, normalization: Normalization) -> NormalizedImages {
        NormalizedImages {
            images: self,
            normalization,
        }
    }
}

impl NormalizedImages {
    /// The images.
    #[must_use]
    pub fn images(&self) -> &ImageDataset {
        &self.images
    }
}

impl Dataset for NormalizedImages {
    fn labels(&self) -> &Labels {
        self.images.labels()
    }

    fn fetch(&self, rows: &[usize], _: u64) -> Result<Examples> {
        let batch = self.images.batch(rows, self.normalization, &Device::Cpu)?;
        Examples::new(batch, rows, self.images.labels())
    }
}
