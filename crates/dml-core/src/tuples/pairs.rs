//! Positive and negative pairs by row.

use super::{RowCounts, Triplets, TupleCount, TupleSet};
use crate::{Batch, Relation, Result, check};

/// Positive pairs `(anchor, positive)` and negative pairs `(anchor, negative)` as lists of rows.
///
/// ```
/// use dml_core::{Pairs, Relation};
///
/// let pairs = Pairs::all(&Relation::labels(&[7i64, 7, 8])?);
/// assert_eq!(pairs.positive_anchors, [0, 1]);
/// assert_eq!(pairs.positives, [1, 0]);
/// assert_eq!(pairs.negative_anchors, [0, 1, 2, 2]);
/// assert_eq!(pairs.negatives, [2, 2, 0, 1]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// Query row of each positive pair.
    pub positive_anchors: Vec<u32>,
    /// Reference row of each positive pair.
    pub positives: Vec<u32>,
    /// Query row of each negative pair.
    pub negative_anchors: Vec<u32>,
    /// Reference row of each negative pair.
    pub negatives: Vec<u32>,
}

impl Pairs {
    /// Pairs from four lists.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) if the lists of a kind are of unequal length.
    pub fn new(
        positive_anchors: Vec<u32>,
        positives: Vec<u32>,
        negative_anchors: Vec<u32>,
        negatives: Vec<u32>,
    ) -> Result<Self> {
        check::length("positives", positive_anchors.len(), positives.len())?;
        check::length("negatives", negative_anchors.len(), negatives.len())?;
        Ok(Self {
            positive_anchors,
            positives,
            negative_anchors,
            negatives,
        })
    }

    /// Every pair that the relation allows, row by row.
    #[must_use]
    pub fn all(relation: &Relation) -> Self {
        Self::of_set(relation)
    }

    /// The pairs of a set of pairs, anchor by anchor.
    pub(super) fn of_set(set: &dyn TupleSet) -> Self {
        let (mut positives, mut negatives) = (RowCounts::default(), RowCounts::default());
        let (mut positive_anchors, mut negative_anchors) = (Vec::new(), Vec::new());
        for anchor in 0..set.anchors() {
            set.row_counts(anchor, &mut positives, &mut negatives);
            positive_anchors.resize(positives.rows.len(), anchor as u32);
            negative_anchors.resize(negatives.rows.len(), anchor as u32);
        }
        Self {
            positive_anchors,
            positives: positives.rows,
            negative_anchors,
            negatives: negatives.rows,
        }
    }

    pub(super) fn count(&self) -> TupleCount {
        TupleCount::Pairs {
            positive: self.positives.len() as u64,
            negative: self.negatives.len() as u64,
        }
    }

    /// The same pairs without those whose positive is the anchor itself ([`Relation::self_match`]). Order is kept.
    #[must_use]
    pub fn without_self_comparisons(&self, relation: &Relation) -> Self {
        let (positive_anchors, positives) = self
            .positive_anchors
            .iter()
            .zip(&self.positives)
            .filter(|(a, p)| relation.self_match(**a as usize) != Some(**p as usize))
            .unzip();
        Self {
            positive_anchors,
            positives,
            negative_anchors: self.negative_anchors.clone(),
            negatives: self.negatives.clone(),
        }
    }

    pub(super) fn check(&self, batch: &Batch) -> Result<()> {
        // The lists are public: they may have been changed since they were made.
        let (anchors, positives) = (self.positive_anchors.len(), self.positives.len());
        check::length("positives", anchors, positives)?;
        let (anchors, negatives) = (self.negative_anchors.len(), self.negatives.len());
        check::length("negatives", anchors, negatives)?;
        check_rows("positive anchors", &self.positive_anchors, batch.queries())?;
        check_rows("positives", &self.positives, batch.references())?;
        check_rows("negative anchors", &self.negative_anchors, batch.queries())?;
        check_rows("negatives", &self.negatives, batch.references())
    }

    /// Every positive pair, in order, with every negative of its anchor in the same pairs by anchor.
    pub(super) fn to_triplets(&self, by_anchor: &dyn TupleSet) -> Triplets {
        let mut triplets = Triplets::default();
        for (&a, &p) in self.positive_anchors.iter().zip(&self.positives) {
            by_anchor.visit(a as usize, &mut |_, negatives| {
                negatives.iter().for_each(|&n| triplets.push(a, p, n));
            });
        }
        triplets
    }
}

pub(super) fn check_rows(arg: &'static str, rows: &[u32], limit: usize) -> Result<()> {
    check::indices(arg, rows.iter().map(|row| *row as usize), limit)
}
