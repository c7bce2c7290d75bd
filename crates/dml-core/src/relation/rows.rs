//! Relations of some of the rows, and relations put together.

use std::sync::{Arc, OnceLock};

use super::{Knowledge, Relation, SelfMatches};
use crate::{IntoLabels, Result, check};

impl Relation {
    /// The relation of some query rows with some reference rows, in the given order.
    ///
    /// ```
    /// use dml_core::{Relation, PairKind};
    ///
    /// let relation = Relation::labels(&[5i64, 6, 5, 7])?.select(&[2, 1], &[2, 1, 0])?;
    /// assert_eq!((relation.queries(), relation.references()), (2, 3));
    /// assert_eq!(relation.pair_kind(0, 0), PairKind::Ignored); // row 2 with itself
    /// assert_eq!(relation.pair_kind(0, 2), PairKind::POSITIVE);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) for a row that does not exist,
    /// [`Error::Unsupported`](crate::Error::Unsupported) for a reference row that is named twice.
    pub fn select(&self, queries: &[u32], references: &[u32]) -> Result<Self> {
        let rows = |rows: &[u32]| rows.iter().map(|row| *row as usize).collect::<Vec<_>>();
        let (queries, references) = (rows(queries), rows(references));
        check::indices("queries", queries.iter().copied(), self.queries)?;
        check::indices("references", references.iter().copied(), self.references)?;
        let mut places = vec![None; self.references];
        for (place, row) in references.iter().enumerate() {
            let is_first = places[*row].replace(place as u32).is_none();
            let reason = "a reference row is named twice";
            check::supported(is_first, "Relation::select", reason)?;
        }
        let is_same = |q: &usize| self.self_match(*q).and_then(|r| *places.get(r)?);
        let map: Vec<Option<u32>> = queries.iter().map(is_same).collect();
        let counts = (queries.len(), references.len());
        let mut weighted = OnceLock::new();
        let knowledge = match &self.knowledge {
            Knowledge::Labels { query, reference } => {
                let (query, reference) = (query.as_slice(), reference.as_slice());
                let query: Vec<i64> = queries.iter().map(|q| query[*q]).collect();
                let reference: Vec<i64> = references.iter().map(|r| reference[*r]).collect();
                Knowledge::Labels {
                    query: query.into_labels()?,
                    reference: reference.into_labels()?,
                }
            }
            Knowledge::LabelSets { query, reference } => Knowledge::LabelSets {
                query: queries.iter().map(|q| query[*q].clone()).collect(),
                reference: references.iter().map(|r| reference[*r].clone()).collect(),
            },
            Knowledge::Matrix(_) | Knowledge::Closure(_) => {
                if self.weighted.get() == Some(&false) {
                    weighted = OnceLock::from(false);
                }
                let own = self.clone();
                let pair_kind =
                    move |q: usize, r: usize| own.pair_kind_as_distinct(queries[q], references[r]);
                Knowledge::Closure(Arc::new(pair_kind))
            }
        };
        let self_matches = if map.iter().all(Option::is_none) {
            SelfMatches::Apart
        } else {
            SelfMatches::Map(map.into())
        };
        Ok(Self {
            self_matches,
            weighted,
            ..Self::new(knowledge, counts.0, counts.1)
        })
    }

    /// The same relation where `block` has the last word on some reference rows: its reference j is row
    /// `references[j]`, and its queries are the queries.
    ///
    /// Which reference *is* which query stays as it was. The result has no [labels](Relation::query_labels).
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) if the block has other numbers of rows,
    /// [`Error::Index`](crate::Error::Index) for a row that does not exist.
    pub fn with_block(self, references: &[u32], block: &Self) -> Result<Self> {
        check::length("block queries", self.queries, block.queries)?;
        check::length("block references", references.len(), block.references)?;
        let rows = references.iter().map(|row| *row as usize);
        check::indices("references", rows.clone(), self.references)?;
        let mut columns = vec![None; self.references];
        for (column, row) in rows.enumerate() {
            columns[row] = Some(column);
        }
        let weighted = self.is_weighted() || block.is_weighted();
        let (outer, inner) = (self.clone(), block.clone());
        let pair_kind = move |q: usize, r: usize| match columns.get(r).copied().flatten() {
            Some(column) => inner.pair_kind(q, column),
            None => outer.pair_kind_as_distinct(q, r),
        };
        Ok(Self {
            knowledge: Knowledge::Closure(Arc::new(pair_kind)),
            weighted: OnceLock::from(weighted),
            ..self
        })
    }
}
