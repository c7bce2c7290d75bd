//! The contract of nearest-neighbour search.

use std::fmt::Debug;
use std::path::Path;

use candle_core::Tensor;
use dml_core::{Error, Order, Result, check};

use super::file::IndexFileError;
use super::row_set::RowSet;
use super::self_match::{SelfMatch, check_found};
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

    /// The `k` nearest references of every query among the rows of a set, or as many as the set has if these are fewer;
    /// `k` must be at least 1. Ties go to the lower row. A set without rows finds nothing, and `k` of the result is 0.
    ///
    /// The default searches all references for more and more neighbours until enough of them are in the set. The indexes of
    /// this crate look at the rows of the set alone.
    ///
    /// # Errors
    /// As [`search_others`](KnnIndex::search_others); [`Error::Length`](dml_core::Error::Length) if the set is not one of as
    /// many rows as the index has.
    fn search_among(&self, queries: &Tensor, k: usize, rows: &RowSet) -> Result<Neighbors> {
        search_wider(self, queries, k, rows)
    }

    /// References by row number, `[rows, dim]`, as they are compared: of length 1 for a cosine, rounded where they are kept
    /// so.
    ///
    /// # Errors
    /// [`Error::Index`](dml_core::Error::Index) if there is no such row,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) if the index does not give its rows, as by default.
    fn rows_at(&self, rows: &[u32]) -> Result<Tensor> {
        let _ = rows;
        Err(Error::unsupported(
            "the index",
            "it does not give its rows: implement `KnnIndex::rows_at`",
        ))
    }

    /// Number of coordinates of a reference; `None` without references, or if the index does not say it, as by default.
    fn dim(&self) -> Option<usize> {
        None
    }

    /// Whether what is found are distances or similarities; `None` if the index does not say it, as by default.
    fn order(&self) -> Option<Order> {
        None
    }

    /// Writes an index of some of the references to a file, as [`save`](KnnIndex::save) would if the others were removed. The
    /// default adds [their rows](KnnIndex::rows_at) to an empty index.
    ///
    /// # Errors
    /// [`IndexFileError::Io`], and [`IndexFileError::Content`] if the set does not fit the index.
    fn save_rows(&self, path: &Path, kept: &RowSet) -> std::result::Result<(), IndexFileError> {
        let content = IndexFileError::content(path);
        let fits = check::length("row set", self.len(), kept.rows());
        fits.map_err(&content)?;
        let mut some = self.to_empty();
        if kept.count() > 0 {
            let rows: Vec<u32> = kept.iter().collect();
            let rows = self.rows_at(&rows).map_err(&content)?;
            some.add(&rows).map_err(content)?;
        }
        some.save(path)
    }

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
    fn search_among(&self, queries: &Tensor, k: usize, rows: &RowSet) -> Result<Neighbors>;
    fn rows_at(&self, rows: &[u32]) -> Result<Tensor>;
    fn dim(&self) -> Option<usize>;
    fn order(&self) -> Option<Order>;
    fn save_rows(&self, path: &Path, kept: &RowSet) -> Saved;
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

/// Checks a search of so many queries among some of the rows of an index. Gives how many neighbours each query finds.
pub(crate) fn check_among(queries: usize, rows: usize, k: usize, among: &RowSet) -> Result<usize> {
    check::length("row set", rows, among.rows())?;
    let expected = "a number of at least 1";
    check::parameter(k >= 1, "k", k as f64, expected)?;
    let k = k.min(among.count());
    check_found(queries, k)?;
    Ok(k)
}

/// Neighbours of a block of queries that the default of [`KnnIndex::search_among`] has in memory.
const ENTRIES: usize = 1 << 22;

/// The nearest among some rows, by searches of all.
fn search_wider(
    index: &(impl KnnIndex + ?Sized),
    queries: &Tensor,
    k: usize,
    among: &RowSet,
) -> Result<Neighbors> {
    check::shape(queries.rank() == 2, "queries", queries, "[queries, dim]")?;
    let count = queries.dims()[0];
    let k = check_among(count, index.len(), k, among)?;
    if k == 0 || count == 0 {
        return Ok(Neighbors::with_capacity(0, k));
    }
    let rows = index.len();
    // As many as are needed on average, and half as many more.
    let mut wide = (rows / among.count()).saturating_mul(k + k / 2).max(k + 16);
    let mut nearest = Neighbors::with_capacity(count, k);
    let mut next = 0;
    while next < count {
        wide = wide.min(rows);
        let block = (ENTRIES / wide).clamp(1, count - next);
        let found = index.search(&queries.narrow(0, next, block)?, wide)?;
        let mut done = 0;
        for (rows, distances) in found.iter() {
            let all = distances.iter().copied().zip(rows.iter().copied());
            let some = all.filter(|(_, row)| among.contains(*row as usize));
            let some: Vec<(f64, u32)> = some.take(k).collect();
            if some.len() < k {
                break;
            }
            nearest.extend(some);
            done += 1;
        }
        if done < block {
            if wide == rows {
                return Err(Error::unsupported(
                    "the index",
                    "it does not find all of its rows: implement `KnnIndex::search_among`",
                ));
            }
            wide = wide.saturating_mul(2);
        }
        next += done;
    }
    Ok(nearest)
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
