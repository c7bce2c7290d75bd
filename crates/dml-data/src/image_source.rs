//! Where images come from, one by one.

use std::fmt::Debug;
use std::sync::Arc;

use dml_core::{Labels, check};

use crate::{Image, ImageDataset, Result};

/// Labelled images that are read one at a time: what an [`AugmentedImages`](crate::AugmentedImages) draws from.
///
/// Reading holds no state: any number of threads may read the same image.
pub trait ImageSource: Debug + Send + Sync {
    /// The label of every image.
    fn labels(&self) -> &Labels;

    /// `[channels, height, width]` of every image. Height and width are 0 if every image has a size of its own.
    fn shape(&self) -> [usize; 3];

    /// The image of that row, with values in `[0, 1]`.
    ///
    /// # Errors
    /// [`DataError::Core`](crate::DataError::Core) for a row without an image; whatever can go wrong with a file.
    fn image(&self, row: usize) -> Result<Image>;
}

dml_core::forward!(ImageSource for [&T, Box<T>, Arc<T>] {
    fn labels(&self) -> &Labels;
    fn shape(&self) -> [usize; 3];
    fn image(&self, row: usize) -> Result<Image>;
});

/// The grey images in memory, byte 255 as 1.
impl ImageSource for ImageDataset {
    fn labels(&self) -> &Labels {
        self.labels()
    }

    fn shape(&self) -> [usize; 3] {
        [1, self.height(), self.width()]
    }

    fn image(&self, row: usize) -> Result<Image> {
        check::indices("rows", [row], self.len())?;
        let bytes = self.image(row).to_vec();
        Ok(Image::from_bytes(ImageSource::shape(self), bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_in_memory_are_a_source() -> Result<()> {
        let images = ImageDataset::new("x", (1, 2), vec![0, 255, 51, 102], [0u8, 1], ["a", "b"])?;
        let source: Box<dyn ImageSource> = Box::new(images);
        assert_eq!(source.shape(), [1, 1, 2]);
        assert_eq!(source.image(1)?.values(), [0.2, 0.4]);
        assert_eq!(source.labels().as_slice(), [0, 1]);
        let message = source.image(2).unwrap_err().to_string();
        assert_eq!(message, "rows[0]: expected an index below 2, got 2");
        Ok(())
    }
}
