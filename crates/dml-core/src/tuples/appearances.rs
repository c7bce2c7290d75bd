//! What tuples say about single rows: how often each appears, and one positive pair for each label.

use std::collections::BTreeMap;

use super::{Pairs, Tuples};
use crate::{Batch, Error, Result};

impl Tuples {
    /// How often each query appears in the tuples, divided by the largest number of appearances.
    ///
    /// A query appears as an anchor; without a reference set as a positive or a negative, too. A pair or triplet that
    /// is repeated counts repeatedly. [`Tuples::All`] and empty tuples give every query weight 1.
    ///
    /// # Errors
    /// As [`Tuples::check`].
    pub fn weights(&self, batch: &Batch) -> Result<Vec<f64>> {
        self.check(batch)?;
        Ok(shares(
            &self.appearances(batch, batch.reference().is_none())?,
        ))
    }

    /// As [`weights`](Tuples::weights), counting queries as anchors alone: for losses that compare rows with something
    /// else than each other.
    ///
    /// # Errors
    /// As [`Tuples::check`].
    pub fn anchor_weights(&self, batch: &Batch) -> Result<Vec<f64>> {
        self.check(batch)?;
        Ok(shares(&self.appearances(batch, false)?))
    }

    /// How often each query appears: as an anchor, and as one of the `others` if they count, too.
    fn appearances(&self, batch: &Batch, others: bool) -> Result<Vec<u64>> {
        let mut counts = vec![0u64; batch.queries()];
        let mut add = |rows: &[u32], is_anchor: bool| {
            if is_anchor || others {
                rows.iter().for_each(|&row| counts[row as usize] += 1);
            }
        };
        match self {
            Self::All => {}
            Self::Pairs(pairs) => {
                add(&pairs.positive_anchors, true);
                add(&pairs.negative_anchors, true);
                add(&pairs.positives, false);
                add(&pairs.negatives, false);
            }
            Self::Triplets(triplets) => {
                add(&triplets.anchors, true);
                add(&triplets.positives, false);
                add(&triplets.negatives, false);
            }
            Self::Mask(mask) => {
                for q in 0..mask.queries() {
                    for row in mask.positives(q).chain(mask.negatives(q)) {
                        add(&[q as u32], true);
                        add(&[row], false);
                    }
                }
            }
            Self::Ranges(ranges) => {
                let mut ends = Vec::new();
                for a in 0..ranges.anchors() {
                    for span in ranges.spans(a) {
                        let length = u64::from(span.end - span.start);
                        counts[a] += length;
                        if others {
                            counts[span.positive as usize] += length;
                        }
                    }
                    if others {
                        ranges.for_each_negative(a, &mut ends, |n, times| {
                            counts[n as usize] += times;
                        });
                    }
                }
            }
            Self::Lazy(set) => {
                for a in 0..set.anchors() {
                    set.for_anchor(a, &mut |p, negatives| {
                        counts[a] += negatives.len() as u64;
                        if others {
                            counts[p as usize] += negatives.len() as u64;
                            negatives.iter().for_each(|&n| counts[n as usize] += 1);
                        }
                    });
                }
            }
            Self::Gaps(gaps) => return Self::Ranges(gaps.ranges()?).appearances(batch, others),
        }
        Ok(counts)
    }

    /// For each label, ascending, the first positive pair whose anchor has it; the list of negatives stays empty.
    ///
    /// # Errors
    /// [`Error::Missing`] if the batch has no labels, and as [`Tuples::check`].
    pub fn one_positive_pair_per_label(&self, batch: &Batch) -> Result<Pairs> {
        self.check(batch)?;
        let labels = batch.labels().ok_or(Error::Missing {
            component: "one_positive_pair_per_label",
            needed: "labels",
        })?;
        let labels = labels.as_slice();
        let mut first = BTreeMap::new();
        let mut offer = |a: u32, p: u32| {
            first.entry(labels[a as usize]).or_insert((a, p));
        };
        match self {
            Self::All => {
                let relation = batch.require_relation("one_positive_pair_per_label")?;
                let (mut positives, mut negatives) = (Vec::new(), Vec::new());
                for q in 0..relation.queries() {
                    positives.clear();
                    negatives.clear();
                    relation.split(q, &mut positives, &mut negatives);
                    if let Some(&p) = positives.first() {
                        offer(q as u32, p);
                    }
                }
            }
            Self::Pairs(pairs) => {
                let pairs = pairs.positive_anchors.iter().zip(&pairs.positives);
                pairs.for_each(|(&a, &p)| offer(a, p));
            }
            Self::Triplets(triplets) => {
                let pairs = triplets.anchors.iter().zip(&triplets.positives);
                pairs.for_each(|(&a, &p)| offer(a, p));
            }
            Self::Mask(mask) => {
                for q in 0..mask.queries() {
                    if let Some(p) = mask.positives(q).next() {
                        offer(q as u32, p);
                    }
                }
            }
            Self::Ranges(ranges) => {
                for a in 0..ranges.anchors() {
                    if let Some(span) = ranges.spans(a).first() {
                        offer(a as u32, span.positive);
                    }
                }
            }
            Self::Lazy(set) => {
                for a in 0..set.anchors() {
                    set.for_anchor(a, &mut |p, _| offer(a as u32, p));
                }
            }
            Self::Gaps(gaps) => {
                return Self::Ranges(gaps.ranges()?).one_positive_pair_per_label(batch);
            }
        }
        let (positive_anchors, positives) = first.into_values().unzip();
        Ok(Pairs {
            positive_anchors,
            positives,
            ..Pairs::default()
        })
    }
}

/// Counts divided by the largest; 1 for all if there is nothing to count.
fn shares(counts: &[u64]) -> Vec<f64> {
    match counts.iter().max() {
        Some(&most) if most > 0 => counts.iter().map(|&c| c as f64 / most as f64).collect(),
        _ => vec![1.0; counts.len()],
    }
}
