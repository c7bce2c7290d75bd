//! Which reference row *is* which query row.

use std::sync::{Arc, OnceLock};

use super::Relation;
use crate::{Error, Result, check};

/// Which reference row is the same thing as a query row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SelfMatches {
    /// None: the references are other things than the queries.
    Apart,
    /// Row i is row i: the queries are compared among themselves.
    Diagonal,
    /// Query row i is reference row `map[i]`, if any.
    Map(Arc<[Option<u32>]>),
}

impl Relation {
    /// Says which reference row *is* each query row, so that no query is matched with itself.
    ///
    /// # Errors
    /// [`Error::Length`] if there is not one entry per query, [`Error::Index`] for a row that does not exist.
    pub fn with_self_matches(mut self, map: &[Option<u32>]) -> Result<Self> {
        check::length("self_matches", self.queries, map.len())?;
        for (position, row) in map.iter().enumerate() {
            if let Some(row) = *row
                && row as usize >= self.references
            {
                return Err(Error::Index {
                    arg: "self_matches",
                    position,
                    limit: self.references,
                    got: i64::from(row),
                });
            }
        }
        self.self_matches = SelfMatches::Map(map.into());
        Ok(self)
    }

    /// Says that reference row i is query row i.
    ///
    /// # Errors
    /// [`Error::Length`] if there are fewer references than queries.
    pub fn with_diagonal_self_matches(mut self) -> Result<Self> {
        if self.references < self.queries {
            check::length("references", self.queries, self.references)?;
        }
        self.self_matches = SelfMatches::Diagonal;
        Ok(self)
    }

    /// The same relation where no reference *is* a query, such as that of one view with another.
    #[must_use]
    pub fn without_self_matches(self) -> Self {
        Self {
            self_matches: SelfMatches::Apart,
            // A pair that did not count may have a weight.
            weighted: match self.weighted.get() {
                Some(true) => OnceLock::from(true),
                _ => OnceLock::new(),
            },
            ..self
        }
    }

    /// The reference row that is query row `q`, if there is one.
    #[must_use]
    pub fn self_match(&self, q: usize) -> Option<usize> {
        match &self.self_matches {
            SelfMatches::Apart => None,
            SelfMatches::Diagonal => Some(q),
            SelfMatches::Map(map) => map.get(q).copied().flatten().map(|row| row as usize),
        }
    }
}
