//! Sets of triplets as kernels walk them.

use std::sync::Arc;

use dml_kernels::{AngularTriplets, Real, TripletSet};

use super::{TupleCount, TupleSet};

#[doc(hidden)]
impl<T: Real> TupleSet for AngularTriplets<T> {
    fn anchors(&self) -> usize {
        TripletSet::anchors(self)
    }

    fn references(&self) -> usize {
        TripletSet::references(self)
    }

    fn count(&self) -> TupleCount {
        TupleCount::Triplets(TripletSet::count(self))
    }

    fn visit(&self, anchor: usize, f: &mut dyn FnMut(&[u32], &[u32])) {
        self.for_anchor(anchor, &mut |positive, negatives| f(&[positive], negatives));
    }
}

/// Any set of triplets for a kernel that visits them one positive at a time.
#[derive(Debug)]
pub(super) struct Rule(pub(super) Arc<dyn TupleSet>);

impl TripletSet for Rule {
    fn anchors(&self) -> usize {
        self.0.anchors()
    }

    fn references(&self) -> usize {
        self.0.references()
    }

    fn count(&self) -> u64 {
        self.0.count().total()
    }

    fn for_anchor(&self, anchor: usize, f: &mut dyn FnMut(u32, &[u32])) {
        self.0.visit(anchor, &mut |positives, negatives| {
            if !negatives.is_empty() {
                positives.iter().for_each(|&p| f(p, negatives));
            }
        });
    }
}
