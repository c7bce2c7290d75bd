//! The contract of nearest-neighbour search.

use std::fmt::Debug;

use candle_core::Tensor;
use dml_core::{Error, Result};

use crate::Neighbors;

/// References that can be searched for the nearest neighbours of queries.
///
/// Embeddings are `[rows, dim]` tensors of any floating-point type on any device; half precision is searched in
/// single precision.
pub trait KnnIndex: Debug + Send + Sync {
    /// Appends references; they get the next row numbers.
    ///
    /// # Errors
    /// [`Error::Shape`] unless they are `[rows, dim]` with the `dim` of those that are there, [`Error::DType`] if
    /// they are of another element type, [`Error::InvalidParameter`] if a number is not finite.
    fn add(&mut self, references: &Tensor) -> Result<()>;

    /// The `k` nearest references of every query, except the one that `own` names. Ties go to the lower row.
    ///
    /// # Errors
    /// As [`add`](KnnIndex::add), [`Error::InvalidParameter`] if `k` is 0 or larger than the number of references
    /// that a query may find, [`Error::Length`] and [`Error::Index`] if `own` does not fit the rows.
    fn search_others(&self, queries: &Tensor, k: usize, own: OwnRow<'_>) -> Result<Neighbors>;

    /// The `k` nearest references of every query. Ties go to the lower row.
    ///
    /// # Errors
    /// As [`search_others`](KnnIndex::search_others).
    fn search(&self, queries: &Tensor, k: usize) -> Result<Neighbors> {
        self.search_others(queries, k, OwnRow::None)
    }

    /// How many references there are.
    fn len(&self) -> usize;

    /// Whether there is no reference.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An index of the same kind without references.
    fn to_empty(&self) -> Box<dyn KnnIndex>;
}

/// Which reference is the query itself, and must not be its own neighbour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnRow<'a> {
    /// None: queries and references are different things.
    #[default]
    None,
    /// Query row i is reference row i.
    Same,
    /// Query row i is reference row `rows[i]`, if any.
    Rows(&'a [Option<u32>]),
}

impl OwnRow<'_> {
    pub(crate) fn of(self, query: usize) -> Option<u32> {
        match self {
            Self::None => None,
            Self::Same => Some(query as u32),
            Self::Rows(rows) => rows.get(query).copied().flatten(),
        }
    }

    /// Checks `own` and `k` against the numbers of rows.
    pub(crate) fn check(self, queries: usize, references: usize, k: usize) -> Result<()> {
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
        assert!(OwnRow::None.check(2, 3, 3).is_ok());
        assert!(k_error(OwnRow::None.check(2, 3, 0)));
        assert!(k_error(OwnRow::None.check(2, 3, 4)));
        assert!(k_error(OwnRow::Same.check(2, 3, 3)));
        assert!(matches!(
            OwnRow::Same.check(4, 3, 1),
            Err(Error::Length { .. })
        ));
        let rows = [None, Some(3)];
        assert!(matches!(
            OwnRow::Rows(&rows).check(3, 9, 1),
            Err(Error::Length { .. })
        ));
        assert!(matches!(
            OwnRow::Rows(&rows).check(2, 3, 1),
            Err(Error::Index {
                position: 1,
                limit: 3,
                got: 3,
                ..
            })
        ));
        assert!(OwnRow::Rows(&[None, None]).check(2, 3, 3).is_ok());
    }
}
