//! References that are the queries themselves.

use dml_core::{Error, Result, check};

/// Neighbours that one search gives at most: 48 GiB of them.
const MOST_NEIGHBORS: u128 = 1 << 32;

/// Which reference is the query itself, which a search must not return.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{FlatIndex, KnnIndex, SelfMatch};
///
/// let rows = Tensor::new(&[[0f32], [1.], [5.]], &Device::Cpu)?;
/// let mut index = FlatIndex::default();
/// index.add(&rows)?;
/// // No row is its own neighbour.
/// assert_eq!(index.search_others(&rows, 1, SelfMatch::Same)?.indices, [1, 0, 1]);
/// // The query is a copy of row 1.
/// let query = rows.narrow(0, 1, 1)?;
/// assert_eq!(index.search_others(&query, 1, SelfMatch::Rows(&[Some(1)]))?.indices, [0]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
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

    /// Checks `self_matches` and `k` against the numbers of rows.
    pub(crate) fn check(self, queries: usize, references: usize, k: usize) -> Result<()> {
        self.check_rows(queries, references)?;
        check_found(queries, k)?;
        let excludes = (0..queries).any(|q| self.of(q).is_some());
        let findable = references.saturating_sub(usize::from(excludes));
        let expected = "a number from 1 to the references that a query may find";
        check::parameter((1..=findable).contains(&k), "k", k as f64, expected).map(drop)
    }

    /// Checks `self_matches` against the numbers of rows.
    pub(crate) fn check_rows(self, queries: usize, references: usize) -> Result<()> {
        if let Self::Rows(rows) = self {
            check::length("self-matches", queries, rows.len())?;
            let is_wrong = |row: &Option<u32>| row.is_some_and(|row| row as usize >= references);
            if let Some(position) = rows.iter().position(is_wrong) {
                return Err(Error::Index {
                    arg: "self-matches",
                    position,
                    limit: references,
                    got: rows[position].map_or(0, i64::from),
                });
            }
        } else if self == Self::Same && references < queries {
            return check::length(
                "references that begin with the queries",
                queries,
                references,
            );
        }
        Ok(())
    }
}

/// Checks how many neighbours a search gives in all.
pub(crate) fn check_found(queries: usize, k: usize) -> Result<()> {
    let fits = queries as u128 * k as u128 <= MOST_NEIGHBORS;
    let expected = "at most 4,294,967,296 neighbours in all; search for fewer queries at a time";
    check::parameter(fits, "k", k as f64, expected).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn self_matches_must_fit() {
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
