//! An index from its file, whatever it is.

use std::path::Path;

use crate::index::file::{self, FileCheck, Header, IndexFileError, Payload};
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
    match header.kind {
        file::USEARCH | file::GRAPH => graph(path, &header, rows),
        _ => of_rows(
            path,
            &header,
            rows,
            "a flat, a quantized or an approximate index",
        ),
    }
}

/// As [`load_index`], with the rows left in the file, which is mapped into memory: an index may be larger than memory.
///
/// The index is a flat or a quantized one; the codes of a quantized one come into memory. Rows that are added are in memory, and
/// removing rows brings all of them there. The file must not be changed in its place while the index lives: a save replaces it,
/// and the index keeps the old one.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{FlatIndex, KnnIndex, FileCheck, load_index_mapped};
///
/// let mut index = FlatIndex::default();
/// index.add(&Tensor::new(&[[0f32, 0.], [3., 4.]], &Device::Cpu)?)?;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("gallery.index");
/// index.save(&path)?;
/// let mapped = load_index_mapped(&path, FileCheck::AtOpen)?;
/// let found = mapped.search(&Tensor::new(&[[3f32, 3.]], &Device::Cpu)?, 1)?;
/// assert_eq!((found.indices[0], found.distances[0]), (1, 1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`IndexFileError`] if the file can't be read, is truncated, or is of an index that can't be mapped. Altered rows are an
/// error at once or, with [`FileCheck::OnUse`], of the search that reads them first
/// ([`Error::Dataset`](dml_core::Error::Dataset) of an [`IndexFileError`]).
pub fn load_index_mapped(
    path: &Path,
    check: FileCheck,
) -> Result<Box<dyn KnnIndex>, IndexFileError> {
    let (header, rows) = file::map(path, check)?;
    of_rows(path, &header, rows, "a flat or a quantized index")
}

/// The index of a file that holds rows.
fn of_rows(
    path: &Path,
    header: &Header,
    rows: Payload,
    expected: &'static str,
) -> Result<Box<dyn KnnIndex>, IndexFileError> {
    Ok(match header.kind {
        file::FLAT => Box::new(FlatIndex::from_file(path, header.kind, header, rows)?),
        file::QUANTIZED => Box::new(QuantizedIndex::from_file(path, header, rows)?),
        _ => return Err(IndexFileError::kind(path, expected)),
    })
}

#[cfg(feature = "usearch")]
fn graph(
    path: &Path,
    header: &Header,
    bytes: Payload,
) -> Result<Box<dyn KnnIndex>, IndexFileError> {
    let index = super::UsearchIndex::from_file(path, header, bytes)?;
    Ok(Box::new(index))
}

#[cfg(not(feature = "usearch"))]
fn graph(path: &Path, _: &Header, _: Payload) -> Result<Box<dyn KnnIndex>, IndexFileError> {
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
        let bytes = file::Rows::Bytes(&[1, 2, 3]);
        file::save(&path, header, &bytes, &file::Norms::None).unwrap();
        let error = load_index(&path).unwrap_err();
        assert!(matches!(error, IndexFileError::Kind { .. }), "{error}");
        assert!(error.to_string().contains("feature `usearch`"), "{error}");
    }
}
