//! An index from its file, whatever it is.

use std::path::Path;

use crate::index::file::{self, Header, IndexFileError, Payload};
use crate::index::{FlatIndex, KnnIndex, QuantizedIndex};

/// The index of a file that [`KnnIndex::save`] has written: of the kind, the metric and the storage that the file says.
///
/// A [`CustomKNN`](crate::CustomKNN) needs its distance and is loaded by [`KnnIndex::load`] only. The graph of a
/// `UsearchIndex` needs a build with the feature `usearch`; it comes with the links that it has, and with default arguments for
/// what is searched and added later: `UsearchIndex::load` keeps those of the index that loads.
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
    let (header, rows) = file::load(path)?;
    Ok(match header.kind {
        file::FLAT => Box::new(FlatIndex::from_file(path, header.kind, &header, rows)?),
        file::QUANTIZED => Box::new(QuantizedIndex::from_file(path, &header, rows)?),
        file::USEARCH | file::GRAPH => return graph(path, &header, rows),
        _ => {
            let expected = "a flat, a quantized or an approximate index";
            return Err(IndexFileError::kind(path, expected));
        }
    })
}

#[cfg(feature = "usearch")]
fn graph(
    path: &Path,
    header: &Header,
    bytes: Payload<'_>,
) -> Result<Box<dyn KnnIndex>, IndexFileError> {
    let index = super::UsearchIndex::from_file(path, header, bytes)?;
    Ok(Box::new(index))
}

#[cfg(not(feature = "usearch"))]
fn graph(path: &Path, _: &Header, _: Payload<'_>) -> Result<Box<dyn KnnIndex>, IndexFileError> {
    Err(IndexFileError::kind(
        path,
        "a flat or a quantized index: the file holds a graph, which needs the feature `usearch`",
    ))
}

#[cfg(all(test, not(feature = "usearch")))]
mod tests {
    use super::*;

    #[test]
    fn without_the_feature_a_graph_is_refused_by_the_name_of_the_feature() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("graph");
        let header = Header {
            kind: file::GRAPH,
            dim: 1,
            rows: 3,
            ..Header::default()
        };
        let bytes = Payload::Bytes([1, 2, 3].as_slice().into());
        file::save(&path, header, &bytes).unwrap();
        let error = load_index(&path).unwrap_err();
        assert!(matches!(error, IndexFileError::Kind { .. }), "{error}");
        assert!(error.to_string().contains("feature `usearch`"), "{error}");
    }
}
