//! How often each row occurs in tuples.

use super::{RowCounts, Tuples};
use crate::{Batch, Result};

impl Tuples {
    /// How often each query occurs in the tuples, divided by the largest number of occurrences.
    ///
    /// A query occurs as an anchor; without a reference set as a positive or a negative, too. A pair or triplet that
    /// is repeated counts repeatedly. [`Tuples::all`] and empty tuples give every query weight 1.
    ///
    /// # Errors
    /// As [`Tuples::check`].
    pub fn weights(&self, batch: &Batch) -> Result<Vec<f64>> {
        self.check(batch)?;
        Ok(shares(
            &self.occurrences(batch, batch.reference().is_none())?,
        ))
    }

    /// As [`weights`](Tuples::weights), counting queries as anchors alone: for losses that compare rows with something
    /// else than each other.
    ///
    /// Used by one loss; it is in this crate because it shares the counting of [`weights`](Tuples::weights).
    ///
    /// # Errors
    /// As [`Tuples::check`].
    #[doc(hidden)]
    pub fn anchor_weights(&self, batch: &Batch) -> Result<Vec<f64>> {
        self.check(batch)?;
        Ok(shares(&self.occurrences(batch, false)?))
    }

    /// How often each query occurs: as an anchor, and as one of the `others` if they count, too.
    fn occurrences(&self, batch: &Batch, others: bool) -> Result<Vec<u64>> {
        let mut counts = vec![0u64; batch.queries()];
        let mut add = |rows: &[u32], is_anchor: bool| {
            if is_anchor || others {
                rows.iter().for_each(|&row| counts[row as usize] += 1);
            }
        };
        if self.is_all() {
            return Ok(counts);
        }
        if let Some(pairs) = self.as_pairs() {
            add(&pairs.positive_anchors, true);
            add(&pairs.negative_anchors, true);
            add(&pairs.positives, false);
            add(&pairs.negatives, false);
            return Ok(counts);
        }
        if let Some(triplets) = self.as_triplets() {
            add(&triplets.anchors, true);
            add(&triplets.positives, false);
            add(&triplets.negatives, false);
            return Ok(counts);
        }
        let set = self.by_anchor("Tuples::weights", batch)?;
        // A triplet has one positive and one negative: its anchor counts once for both.
        let is_pairs = !self.is_triplets();
        let (mut positives, mut negatives) = (RowCounts::default(), RowCounts::default());
        for anchor in 0..set.anchors() {
            positives.clear();
            negatives.clear();
            set.row_counts(anchor, &mut positives, &mut negatives);
            for (rows, is_anchor) in [(&positives, true), (&negatives, is_pairs)] {
                for (row, times) in rows.iter() {
                    if is_anchor {
                        counts[anchor] += times;
                    }
                    if others {
                        counts[row] += times;
                    }
                }
            }
        }
        Ok(counts)
    }
}

/// Counts divided by the largest; 1 for all if there is nothing to count.
fn shares(counts: &[u64]) -> Vec<f64> {
    match counts.iter().max() {
        Some(&most) if most > 0 => counts.iter().map(|&c| c as f64 / most as f64).collect(),
        _ => vec![1.0; counts.len()],
    }
}
