//! Tuples as a set of pairs: one bit for each, repeats count once.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use dml_kernels::{PairMask, TripletSet};

use super::{Pairs, Tuples};
use crate::{Batch, Error, Result};

impl Tuples {
    /// The pairs that occur in the tuples, one bit each: a triplet counts as its positive and its negative pair,
    /// repeats count once.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if a pair is given as positive and as negative; as [`Tuples::triplets`].
    pub fn mask(&self, batch: &Batch) -> Result<Arc<PairMask>> {
        let mask = self.pair_sets(batch)?;
        if mask.has_both() {
            return Err(Error::Unsupported {
                component: "Tuples::mask",
                reason: "a pair is given as positive and as negative at once",
            });
        }
        Ok(mask)
    }

    /// The same, where a pair may be in both sets.
    ///
    /// # Errors
    /// As [`Tuples::triplets`].
    pub fn pair_sets(&self, batch: &Batch) -> Result<Arc<PairMask>> {
        self.check(batch)?;
        Ok(match self {
            Self::All => Arc::new(batch.require_relation("mask")?.mask()),
            Self::Pairs(pairs) => Arc::new(of_list(pairs, batch)),
            Self::Triplets(triplets) => Arc::new(of_list(&triplets.to_pairs(), batch)),
            Self::Mask(mask) => mask.clone(),
            Self::Gaps(gaps) => Self::Ranges(gaps.ranges()?).pair_sets(batch)?,
            Self::Ranges(ranges) => Arc::new(PairMask::select(
                batch.queries(),
                batch.references(),
                |q, positives, negatives, ends: &mut Vec<i64>| {
                    for span in ranges.spans(q) {
                        positives.insert_if(span.positive as usize, span.start < span.end);
                    }
                    ranges.for_each_negative(q, ends, |n, times| {
                        negatives.insert_if(n as usize, times > 0);
                    });
                },
            )),
            Self::Lazy(set) => Arc::new(of_set(&**set, batch)),
        })
    }
}

fn of_list(pairs: &Pairs, batch: &Batch) -> PairMask {
    let (positives, negatives) = pairs.by_anchor(batch.queries());
    PairMask::select(
        batch.queries(),
        batch.references(),
        |q, p, n, _: &mut ()| {
            positives[q].iter().for_each(|&row| p.insert(row as usize));
            negatives[q].iter().for_each(|&row| n.insert(row as usize));
        },
    )
}

fn of_set(set: &dyn TripletSet, batch: &Batch) -> PairMask {
    PairMask::select(
        batch.queries(),
        batch.references(),
        |q, p, n, _: &mut ()| {
            if q < set.anchors() {
                set.for_anchor(q, &mut |positive, negatives| {
                    p.insert(positive as usize);
                    negatives.iter().for_each(|&row| n.insert(row as usize));
                });
            }
        },
    )
}

/// Positive and negative pairs as tensors `[Q, R]` of `u8`, 1 where a pair is chosen.
///
/// # Errors
/// [`Error::Tensor`] if the device can't hold them.
pub fn mask_tensors(mask: &PairMask, device: &Device) -> Result<(Tensor, Tensor)> {
    let (queries, references) = (mask.queries(), mask.references());
    let mut positive = vec![0u8; queries * references];
    let mut negative = positive.clone();
    for q in 0..queries {
        let start = q * references;
        mask.positives(q)
            .for_each(|r| positive[start + r as usize] = 1);
        mask.negatives(q)
            .for_each(|r| negative[start + r as usize] = 1);
    }
    let tensor = |bits| Tensor::from_vec(bits, (queries, references), device);
    Ok((tensor(positive)?, tensor(negative)?))
}
