//! Triplets by row.

use super::pairs::check_rows;
use super::{Pairs, TupleSet};
use crate::{Batch, Relation, Result, check};

/// Triplets `(anchor, positive, negative)` as lists of rows. Order and duplicates are kept.
///
/// ```
/// use dml_core::{Relation, Triplets};
///
/// // Rows 0, 1 and 3 are positive for each other, and row 2 is negative for each of them.
/// let triplets = Triplets::all(&Relation::labels(&[7i64, 7, 8, 7])?);
/// assert_eq!(triplets.anchors, [0, 0, 1, 1, 3, 3]);
/// assert_eq!(triplets.positives, [1, 3, 0, 3, 0, 1]);
/// assert_eq!(triplets.negatives, [2; 6]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Triplets {
    /// Query row of each triplet.
    pub anchors: Vec<u32>,
    /// Reference row of each triplet's positive.
    pub positives: Vec<u32>,
    /// Reference row of each triplet's negative.
    pub negatives: Vec<u32>,
}

impl Triplets {
    /// Triplets from three lists.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) if the lists are of unequal length.
    pub fn new(anchors: Vec<u32>, positives: Vec<u32>, negatives: Vec<u32>) -> Result<Self> {
        check::length("positives", anchors.len(), positives.len())?;
        check::length("negatives", anchors.len(), negatives.len())?;
        Ok(Self {
            anchors,
            positives,
            negatives,
        })
    }

    /// Every triplet that the relation allows, in lexicographic order.
    #[must_use]
    pub fn all(relation: &Relation) -> Self {
        Self::of_set(relation)
    }

    /// The triplets of a set, anchor by anchor; of pairs, every positive with every negative of the same anchor.
    pub(super) fn of_set(set: &dyn TupleSet) -> Self {
        let mut triplets = Self::default();
        for a in 0..set.anchors() {
            set.visit(a, &mut |positives, negatives| {
                for &p in positives {
                    for &n in negatives {
                        triplets.push(a as u32, p, n);
                    }
                }
            });
        }
        triplets
    }

    /// The same triplets without those whose positive is the anchor itself ([`Relation::self_match`]). Order is kept.
    #[must_use]
    pub fn without_self_comparisons(&self, relation: &Relation) -> Self {
        let is_other =
            |(a, p, _): &(u32, u32, u32)| relation.self_match(*a as usize) != Some(*p as usize);
        self.iter().filter(is_other).collect()
    }

    /// Anchor, positive and negative of each triplet, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, u32, u32)> {
        let others = self.positives.iter().zip(&self.negatives);
        let rows = self.anchors.iter().zip(others);
        rows.map(|(a, (p, n))| (*a, *p, *n))
    }

    /// How many triplets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.anchors.len()
    }

    /// Whether there is no triplet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    pub(super) fn push(&mut self, anchor: u32, positive: u32, negative: u32) {
        self.anchors.push(anchor);
        self.positives.push(positive);
        self.negatives.push(negative);
    }

    pub(super) fn check(&self, batch: &Batch) -> Result<()> {
        check::length("positives", self.anchors.len(), self.positives.len())?;
        check::length("negatives", self.anchors.len(), self.negatives.len())?;
        check_rows("anchors", &self.anchors, batch.queries())?;
        check_rows("positives", &self.positives, batch.references())?;
        check_rows("negatives", &self.negatives, batch.references())
    }

    pub(super) fn to_pairs(&self) -> Pairs {
        Pairs {
            positive_anchors: self.anchors.clone(),
            positives: self.positives.clone(),
            negative_anchors: self.anchors.clone(),
            negatives: self.negatives.clone(),
        }
    }
}

impl FromIterator<(u32, u32, u32)> for Triplets {
    fn from_iter<I: IntoIterator<Item = (u32, u32, u32)>>(triplets: I) -> Self {
        let (anchors, positives, negatives) = triplets.into_iter().collect();
        Self {
            anchors,
            positives,
            negatives,
        }
    }
}
