//! Tuples as a set of pairs: one bit for each, repeats count once.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use dml_kernels::PairMask;

use super::{RowCounts, TupleCount, TupleSet, Tuples};
use crate::{Batch, Result, check};

impl Tuples {
    /// The pairs that occur in the tuples, one bit each: a triplet counts as its positive and its negative pair,
    /// repeats count once.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) if a pair is given as positive and as negative; as [`Tuples::triplets`].
    #[doc(hidden)]
    pub fn mask(&self, batch: &Batch) -> Result<Arc<PairMask>> {
        let mask = self.pair_sets(batch)?;
        let reason = "a pair is given as positive and as negative at once";
        check::supported(!mask.has_both(), "Tuples::mask", reason)?;
        Ok(mask)
    }

    /// As [`mask`](Tuples::mask), where a pair may be positive and negative at once: for [`Batch::spoiled`], and for losses
    /// that count the kinds apart.
    ///
    /// # Errors
    /// As [`Tuples::triplets`].
    #[doc(hidden)]
    pub fn pair_sets(&self, batch: &Batch) -> Result<Arc<PairMask>> {
        let set = self.by_anchor("mask", batch)?;
        if let Some(mask) = set.clone().as_mask() {
            return Ok(mask);
        }
        let (queries, references) = (batch.queries(), batch.references());
        let mask = PairMask::select(queries, references, |q, p, n, sides: &mut Sides| {
            let (positives, negatives) = sides;
            positives.clear();
            negatives.clear();
            set.split(q, positives, negatives);
            positives.iter().for_each(|&row| p.insert(row as usize));
            negatives.iter().for_each(|&row| n.insert(row as usize));
        });
        Ok(Arc::new(mask))
    }
}

/// Positives and negatives of an anchor.
type Sides = (Vec<u32>, Vec<u32>);

/// Pairs of either kind, two bits for each pair of the batch.
#[doc(hidden)]
impl TupleSet for PairMask {
    fn anchors(&self) -> usize {
        self.queries()
    }

    fn references(&self) -> usize {
        self.references()
    }

    fn count(&self) -> TupleCount {
        let (positive, negative) = self.counts();
        TupleCount::Pairs { positive, negative }
    }

    fn visit(&self, anchor: usize, f: &mut dyn FnMut(&[u32], &[u32])) {
        let positives: Vec<u32> = self.positives(anchor).collect();
        let negatives: Vec<u32> = self.negatives(anchor).collect();
        f(&positives, &negatives);
    }

    fn row_counts(&self, anchor: usize, positives: &mut RowCounts, negatives: &mut RowCounts) {
        positives.rows.extend(self.positives(anchor));
        negatives.rows.extend(self.negatives(anchor));
    }

    fn as_mask(self: Arc<Self>) -> Option<Arc<PairMask>> {
        Some(self)
    }
}

/// Positive and negative pairs as tensors `[Q, R]` of `u8`, 1 where a pair is chosen.
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) if the device can't hold them.
#[doc(hidden)]
pub fn mask_tensors(mask: &PairMask, device: &Device) -> Result<(Tensor, Tensor)> {
    let (queries, references) = (mask.queries(), mask.references());
    let mut positive = vec![0u8; queries * references];
    let mut negative = positive.clone();
    for q in 0..queries {
        let start = q * references;
        let (positives, negatives) = (mask.positives(q), mask.negatives(q));
        positives.for_each(|r| positive[start + r as usize] = 1);
        negatives.for_each(|r| negative[start + r as usize] = 1);
    }
    let tensor = |bits| Tensor::from_vec(bits, (queries, references), device);
    Ok((tensor(positive)?, tensor(negative)?))
}
