//! An index from its file, whatever it is.

use std::path::Path;

use crate::index_file::{self, IndexFileError};
use crate::{FlatIndex, KnnIndex, QuantizedIndex};

/// The index of a file that [`KnnIndex::save`] has written: of the kind, the metric and the storage that the file says.
///
/// A [`CustomKNN`](crate::CustomKNN) needs its distance and is loaded by [`KnnIndex::load`] only.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{FlatIndex, KnnIndex, load_index};
///
/// let mut index = FlatIndex::default();
/// index.add(&Tensor::new(&[[0f32, 0.], [3., 4.]], &Device::Cpu)?)?;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("gallery.index");
/// index.save(&path)?;
/// let found = load_index(&path)?.search(&Tensor::new(&[[3f32, 3.]], &Device::Cpu)?, 1)?;
/// assert_eq!((found.indices[0], found.distances[0]), (1, 1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`IndexFileError`] if the file can't be read, is truncated or altered, or is of an index that needs more than its file.
pub fn load_index(path: &Path) -> Result<Box<dyn KnnIndex>, IndexFileError> {
    let (header, rows) = index_file::load(path)?;
    Ok(match header.kind {
        index_file::FLAT => Box::new(FlatIndex::from_file(path, header.kind, &header, rows)?),
        index_file::QUANTIZED => Box::new(QuantizedIndex::from_file(path, &header, rows)?),
        _ => {
            return Err(IndexFileError::kind(path, "a flat or a quantized index"));
        }
    })
}
