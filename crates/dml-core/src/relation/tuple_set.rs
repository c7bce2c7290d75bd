//! A relation as a set of pairs.

use std::sync::Arc;

use dml_kernels::PairMask;

use super::Relation;
use crate::{RowCounts, TupleCount, TupleSet};

/// Every pair that the relation allows.
impl TupleSet for Relation {
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
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        self.split(anchor, &mut positives, &mut negatives);
        f(&positives, &negatives);
    }

    fn row_counts(&self, anchor: usize, positives: &mut RowCounts, negatives: &mut RowCounts) {
        self.split(anchor, &mut positives.rows, &mut negatives.rows);
    }

    fn as_mask(self: Arc<Self>) -> Option<Arc<PairMask>> {
        Some(Arc::new(self.mask()))
    }
}
