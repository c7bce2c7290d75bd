//! The contract of nearest-neighbour search.

use std::fmt::Debug;
use std::path::Path;

use candle_core::Tensor;
use dml_core::{Result, check};

use super::file::IndexFileError;
use super::self_match::SelfMatch;
use super::{Neighbors, NeighborsWithin};

/// References that can be searched for the nearest neighbours of queries.
///
/// Embeddings are `[rows, dim]` tensors of any floating-point type on any device; half precision is searched in
/// single precision.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{FlatIndex, KnnIndex};
///
/// /// Searches whatever index it is given.
/// fn nearest(index: &mut dyn KnnIndex, rows: &Tensor, query: &Tensor) -> dml_core::Result<u32> {
///     index.add(rows)?;
///     Ok(index.search(query, 1)?.indices[0])
/// }
///
/// let rows = Tensor::new(&[[0f32], [5.], [9.]], &Device::Cpu)?;
/// let query = Tensor::new(&[[6f32]], &Device::Cpu)?;
/// assert_eq!(nearest(&mut FlatIndex::default(), &rows, &query)?, 1);
/// # Ok::<(), dml_core::Error>(())
/// ```
pub trait KnnIndex: Debug + Send + Sync {
    /// Appends references; they get the next row numbers. The first rows of an empty index determine its `dim` and element
    /// type. Adding no rows changes nothing.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) unless they are `[rows, dim]` with the `dim` of the index,
    /// [`Error::DType`](dml_core::Error::DType) if they are of another element type,
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if a number is not finite (or, of double
    /// precision, above 1e150), or the index would have more than 2³² − 1 rows.
    fn add(&mut self, references: &Tensor) -> Result<()>;

    /// The `k` nearest references of every query, without its self-match. Ties go to the lower row. `k` must be from 1 to
    /// the number of references that a query may find.
    ///
    /// # Errors
    /// As [`add`](KnnIndex::add), [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `k` is out of range
    /// or queries times `k` is above 2³², [`Error::Length`](dml_core::Error::Length) and
    /// [`Error::Index`](dml_core::Error::Index) if `self_matches` does not fit the rows.
    fn search_others(
        &self,
        queries: &Tensor,
        k: usize,
        self_matches: SelfMatch<'_>,
    ) -> Result<Neighbors>;

    /// The `k` nearest references of every query. Ties go to the lower row.
    ///
    /// # Errors
    /// As [`search_others`](KnnIndex::search_others).
    fn search(&self, queries: &Tensor, k: usize) -> Result<Neighbors> {
        self.search_others(queries, k, SelfMatch::None)
    }

    /// All references of every query within `threshold`, without its self-match: at most that far for a distance, at least
    /// that similar for a similarity. Closest first, ties by row. An empty index finds none.
    ///
    /// # Errors
    /// As [`add`](KnnIndex::add), [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if the threshold is
    /// NaN, [`Error::Length`](dml_core::Error::Length) and [`Error::Index`](dml_core::Error::Index) if `self_matches`
    /// does not fit the rows.
    fn search_within(
        &self,
        queries: &Tensor,
        threshold: f64,
        self_matches: SelfMatch<'_>,
    ) -> Result<NeighborsWithin>;

    /// Removes references by row number; the rows after them move up. Returns how many were removed: a row that is listed
    /// twice counts once.
    ///
    /// # Errors
    /// [`Error::Index`](dml_core::Error::Index) if there is no such row; nothing is removed then.
    fn remove(&mut self, rows: &[u32]) -> Result<usize>;

    /// Writes the index to a file, which appears whole or not at all: see [`index::file`](crate::index::file).
    ///
    /// # Errors
    /// [`IndexFileError::Io`].
    fn save(&self, path: &Path) -> std::result::Result<(), IndexFileError>;

    /// Replaces the references by those of a file that an index of the same kind and metric has written.
    ///
    /// # Errors
    /// [`IndexFileError`] if the file can't be read, is truncated or altered, or is of another index; the references are
    /// unchanged then.
    fn load(&mut self, path: &Path) -> std::result::Result<(), IndexFileError>;

    /// Number of references.
    fn len(&self) -> usize;

    /// Whether there are no references.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An index of the same kind and configuration without references.
    fn to_empty(&self) -> Box<dyn KnnIndex>;
}

type Saved = std::result::Result<(), IndexFileError>;

dml_core::forward!(KnnIndex for [Box<T>] {
    fn search_others(&self, queries: &Tensor, k: usize, own: SelfMatch<'_>) -> Result<Neighbors>;
    fn search(&self, queries: &Tensor, k: usize) -> Result<Neighbors>;
    fn search_within(&self, queries: &Tensor, far: f64, own: SelfMatch<'_>) -> Result<NeighborsWithin>;
    fn save(&self, path: &Path) -> Saved;
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool;
    fn to_empty(&self) -> Box<dyn KnnIndex>;
} mut {
    fn add(&mut self, references: &Tensor) -> Result<()>;
    fn remove(&mut self, rows: &[u32]) -> Result<usize>;
    fn load(&mut self, path: &Path) -> Saved;
});

/// Whether an index of `rows` references can have `more`: row numbers are of 32 bits.
pub(crate) fn check_count(rows: usize, more: usize) -> Result<()> {
    let fits = rows.saturating_add(more) <= u32::MAX as usize;
    let expected = "at most 4,294,967,295 rows in all";
    check::parameter(fits, "references", more as f64, expected).map(drop)
}

/// Which of `count` rows stay when `rows` go, and how many go.
pub(crate) fn kept_rows(rows: &[u32], count: usize) -> Result<(Vec<bool>, usize)> {
    check::indices("rows", rows.iter().map(|row| *row as usize), count)?;
    let mut keep = vec![true; count];
    for row in rows {
        keep[*row as usize] = false;
    }
    let gone = keep.iter().filter(|keep| !**keep).count();
    Ok((keep, gone))
}

/// The threshold, if it is a number.
pub(crate) fn checked_threshold(threshold: f64) -> Result<f64> {
    check::parameter(!threshold.is_nan(), "threshold", threshold, "a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_objects() {
        fn object(_: &dyn KnnIndex) {}
        object(&crate::FlatIndex::default());
    }
}
