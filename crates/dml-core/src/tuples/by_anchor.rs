//! Lists of pairs or triplets, grouped by anchor.

use super::{Pairs, RowCounts, Triplets, TupleCount, TupleSet};

/// The positives and the negatives of each anchor in the order of a list, repeats included.
#[derive(Debug)]
pub(super) struct ListByAnchor {
    positives: Vec<Vec<u32>>,
    negatives: Vec<Vec<u32>>,
    references: usize,
    count: TupleCount,
}

impl ListByAnchor {
    pub(super) fn of_pairs(pairs: &Pairs, anchors: usize, references: usize) -> Self {
        Self {
            positives: grouped(&pairs.positive_anchors, &pairs.positives, anchors),
            negatives: grouped(&pairs.negative_anchors, &pairs.negatives, anchors),
            references,
            count: pairs.count(),
        }
    }

    pub(super) fn of_triplets(triplets: &Triplets, anchors: usize, references: usize) -> Self {
        Self {
            positives: grouped(&triplets.anchors, &triplets.positives, anchors),
            negatives: grouped(&triplets.anchors, &triplets.negatives, anchors),
            references,
            count: TupleCount::Triplets(triplets.len() as u64),
        }
    }
}

fn grouped(anchors: &[u32], rows: &[u32], count: usize) -> Vec<Vec<u32>> {
    let mut groups = vec![Vec::new(); count];
    for (&anchor, &row) in anchors.iter().zip(rows) {
        groups[anchor as usize].push(row);
    }
    groups
}

impl TupleSet for ListByAnchor {
    fn anchors(&self) -> usize {
        self.positives.len()
    }

    fn references(&self) -> usize {
        self.references
    }

    fn count(&self) -> TupleCount {
        self.count
    }

    fn visit(&self, anchor: usize, f: &mut dyn FnMut(&[u32], &[u32])) {
        let (positives, negatives) = (&self.positives[anchor], &self.negatives[anchor]);
        match self.count {
            TupleCount::Pairs { .. } => f(positives, negatives),
            TupleCount::Triplets(_) => {
                let triplets = positives.chunks(1).zip(negatives.chunks(1));
                triplets.for_each(|(positive, negative)| f(positive, negative));
            }
        }
    }

    fn row_counts(&self, anchor: usize, positives: &mut RowCounts, negatives: &mut RowCounts) {
        positives.rows.extend_from_slice(&self.positives[anchor]);
        negatives.rows.extend_from_slice(&self.negatives[anchor]);
    }
}
