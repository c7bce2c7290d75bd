//! The contract of nearest-neighbour search.

use std::fmt::Debug;
use std::path::Path;

use candle_core::Tensor;
use dml_core::{Error, Result};

use crate::{IndexFileError, Neighbors, NeighborsWithin};

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

    /// Writes the index to a file, which is whole or not there: see [`index_file`](crate::index_file).
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

/// Neighbours that one search gives at most: 48 GiB of them.
const MOST_NEIGHBORS: u128 = 1 << 32;

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

/// Which reference is the query itself, and must not be its own neighbour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SelfMatch<'a> {
    /// None: queries and references are different things.
    #[default]
    None,
    /// Query row i is reference row i.
    Same,
    /// Query row i is reference row `rows[i]`, if any.
    Rows(&'a [Option<u32>]),
}

impl SelfMatch<'_> {
    pub(crate) fn of(self, query: usize) -> Option<u32> {
        match self {
            Self::None => None,
            Self::Same => Some(query as u32),
            Self::Rows(rows) => rows.get(query).copied().flatten(),
        }
    }

    /// Checks `own` and `k` against the numbers of rows.
    pub(crate) fn check(self, queries: usize, references: usize, k: usize) -> Result<()> {
        self.check_rows(queries, references)?;
        if queries as u128 * k as u128 > MOST_NEIGHBORS {
            return Err(Error::InvalidParameter {
                name: "k",
                value: k as f64,
                expected: "at most 4,294,967,296 neighbours in all; search for fewer queries at a time",
            });
        }
        let excludes = (0..queries).any(|q| self.of(q).is_some());
        if k == 0 || k > references.saturating_sub(usize::from(excludes)) {
            return Err(Error::InvalidParameter {
                name: "k",
                value: k as f64,
                expected: "a number from 1 to the references that a query may find",
            });
        }
        Ok(())
    }

    /// Checks `own` against the numbers of rows.
    pub(crate) fn check_rows(self, queries: usize, references: usize) -> Result<()> {
        if let Self::Rows(rows) = self {
            if rows.len() != queries {
                return Err(Error::Length {
                    arg: "own rows",
                    expected: queries,
                    got: rows.len(),
                });
            }
            for (position, row) in rows.iter().enumerate() {
                if let Some(row) = *row
                    && row as usize >= references
                {
                    return Err(Error::Index {
                        arg: "own rows",
                        position,
                        limit: references,
                        got: i64::from(row),
                    });
                }
            }
        } else if self == Self::Same && references < queries {
            return Err(Error::Length {
                arg: "references that begin with the queries",
                expected: queries,
                got: references,
            });
        }
        Ok(())
    }
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

    #[test]
    fn own_rows_must_fit() {
        let k_error =
            |result: Result<()>| matches!(result, Err(Error::InvalidParameter { name: "k", .. }));
        assert!(SelfMatch::None.check(2, 3, 3).is_ok());
        assert!(k_error(SelfMatch::None.check(2, 3, 0)));
        assert!(k_error(SelfMatch::None.check(2, 3, 4)));
        assert!(k_error(SelfMatch::Same.check(2, 3, 3)));
        assert!(matches!(
            SelfMatch::Same.check(4, 3, 1),
            Err(Error::Length { .. })
        ));
        let rows = [None, Some(3)];
        assert!(matches!(
            SelfMatch::Rows(&rows).check(3, 9, 1),
            Err(Error::Length { .. })
        ));
        assert!(matches!(
            SelfMatch::Rows(&rows).check(2, 3, 1),
            Err(Error::Index {
                position: 1,
                limit: 3,
                got: 3,
                ..
            })
        ));
        assert!(SelfMatch::Rows(&[None, None]).check(2, 3, 3).is_ok());
    }
}
