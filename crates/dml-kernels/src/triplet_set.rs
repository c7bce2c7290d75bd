//! Triplets that are known by a rule and never written out unless somebody asks.

use std::fmt::Debug;

use crate::triplet_ranges::TripletRanges;

/// A set of triplets that can be walked anchor by anchor, each in memory of one row.
pub trait TripletSet: Debug + Send + Sync {
    /// How many anchors there are, with triplets or without.
    fn anchors(&self) -> usize;

    /// How many references positives and negatives are taken from: every row is below it.
    fn references(&self) -> usize;

    /// How many triplets there are. Nothing is expanded.
    fn count(&self) -> u64;

    /// `f(positive, negatives)` for each positive of an anchor that has any negative, positives ascending.
    fn for_anchor(&self, anchor: usize, f: &mut dyn FnMut(u32, &[u32]));
}

/// The negatives of a span come nearest first.
impl TripletSet for TripletRanges {
    fn anchors(&self) -> usize {
        self.anchors()
    }

    fn references(&self) -> usize {
        self.references()
    }

    fn count(&self) -> u64 {
        self.count()
    }

    fn for_anchor(&self, anchor: usize, f: &mut dyn FnMut(u32, &[u32])) {
        let negatives = self.negatives(anchor);
        for span in self.spans(anchor) {
            f(
                span.positive,
                &negatives[span.start as usize..span.end as usize],
            );
        }
    }
}
