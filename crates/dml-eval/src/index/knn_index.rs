//! The contract of nearest-neighbour search.

use std::fmt::Debug;
use std::path::Path;

use candle_core::Tensor;
use dml_core::{Error, Result};

use super::file::IndexFileError;
use super::neighbors::{Neighbors, NeighborsWithin};
use super::self_match::SelfMatch;

/// References that can be searched for the nearest neighbours of queries.
///
/// Embeddings are `[rows, dim]` tensors of any floating-point type on any device; half precision is searched in
/// single precision.
pub trait KnnIndex: Debug + Send + Sync {
    /// Appends references; they get the next row numbers. Without references an index takes rows of any `dim` and element
    /// type, whatever it held or refused before; no rows may be added, and change nothing.
    ///
    /// # Errors
    /// [`Error::Shape`] unless they are `[rows, dim]` with the `dim` of those that are there, [`Error::DType`] if
    /// they are of another element type, [`Error::InvalidParameter`] if a number is not finite (or, of double precision,
    /// above 1e150), or there would be more than 2³² − 1 rows.
    fn add(&mut self, references: &Tensor) -> Result<()>;

    /// The `k` nearest references of every query, except the one that `own` names. Ties go to the lower row. Of no
    /// queries there are none.
    ///
    /// # Errors
    /// As [`add`](KnnIndex::add), [`Error::InvalidParameter`] if `k` is 0 or larger than the number of references
    /// that a query may find, or queries times `k` is above 2³², [`Error::Length`] and [`Error::Index`] if `own` does not
    /// fit the rows.
    fn search_others(&self, queries: &Tensor, k: usize, own: SelfMatch<'_>) -> Result<Neighbors>;

    /// The `k` nearest references of every query. Ties go to the lower row.
    ///
    /// # Errors
    /// As [`search_others`](KnnIndex::search_others).
    fn search(&self, queries: &Tensor, k: usize) -> Result<Neighbors> {
        self.search_others(queries, k, SelfMatch::None)
    }

    /// All references of every query that are within `threshold`, in the unit of the index: at most so far away, or at
    /// least so alike; except the one that `own` names. Closest first, ties by row. An empty index has none.
    ///
    /// # Errors
    /// As [`add`](KnnIndex::add), [`Error::InvalidParameter`] if the threshold is not a number, [`Error::Length`] and
    /// [`Error::Index`] if `own` does not fit the rows.
    fn search_within(
        &self,
        queries: &Tensor,
        threshold: f64,
        own: SelfMatch<'_>,
    ) -> Result<NeighborsWithin>;

    /// Removes the references of those row numbers; those after them move up. Returns how many there were: a row that
    /// comes twice is one.
    ///
    /// # Errors
    /// [`Error::Index`] if there is no such row; nothing is removed then.
    fn remove(&mut self, rows: &[u32]) -> Result<usize>;

    /// Writes the index to a file, which is whole or not there: see [`index_file`](crate::index::file).
    ///
    /// # Errors
    /// [`IndexFileError::Io`].
    fn save(&self, path: &Path) -> std::result::Result<(), IndexFileError>;

    /// Replaces the references by those of a file that an index of the same kind and metric has written.
    ///
    /// # Errors
    /// [`IndexFileError`] if it can't be read, is truncated or altered, or is of another index; the references are then
    /// as they were.
    fn load(&mut self, path: &Path) -> std::result::Result<(), IndexFileError>;

    /// How many references there are.
    fn len(&self) -> usize;

    /// Whether there is no reference.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An index of the same kind without references.
    fn to_empty(&self) -> Box<dyn KnnIndex>;
}

/// Whether an index of `rows` references can have `more`: row numbers are of 32 bits.
pub(crate) fn check_count(rows: usize, more: usize) -> Result<()> {
    if rows.saturating_add(more) > u32::MAX as usize {
        return Err(Error::InvalidParameter {
            name: "references",
            value: more as f64,
            expected: "at most 4,294,967,295 rows in all",
        });
    }
    Ok(())
}

/// Which of `count` rows stay when `rows` go, and how many go.
pub(crate) fn kept_rows(rows: &[u32], count: usize) -> Result<(Vec<bool>, usize)> {
    let mut keep = vec![true; count];
    for (position, row) in rows.iter().enumerate() {
        let Some(keep) = keep.get_mut(*row as usize) else {
            return Err(Error::Index {
                arg: "rows",
                position,
                limit: count,
                got: i64::from(*row),
            });
        };
        *keep = false;
    }
    let gone = keep.iter().filter(|keep| !**keep).count();
    Ok((keep, gone))
}

/// The threshold, if it is a number.
pub(crate) fn checked_threshold(threshold: f64) -> Result<f64> {
    if threshold.is_nan() {
        return Err(Error::InvalidParameter {
            name: "threshold",
            value: threshold,
            expected: "a number",
        });
    }
    Ok(threshold)
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
