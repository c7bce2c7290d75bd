//! The pairs of a relation: counted, as bits, and row by row.

use std::collections::HashMap;

use dml_kernels::PairMask;

use super::{Knowledge, PairKind, Relation};

impl Relation {
    /// How many positive and how many negative pairs there are. Labels are counted class by class, not pair by pair.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let (mut positive, mut negative) = (0, 0);
        if let Knowledge::Labels { query, reference } = &self.knowledge {
            let mut sizes: HashMap<i64, u64> = HashMap::new();
            for label in reference.as_slice() {
                *sizes.entry(*label).or_default() += 1;
            }
            for (q, label) in query.as_slice().iter().enumerate() {
                let same = sizes.get(label).copied().unwrap_or(0);
                positive += same;
                negative += self.references as u64 - same;
                let itself = self.self_match(q).and_then(|r| reference.as_slice().get(r));
                positive -= u64::from(itself == Some(label));
                negative -= u64::from(itself.is_some_and(|other| other != label));
            }
            return (positive, negative);
        }
        for q in 0..self.queries {
            self.visit_row(q, |_| positive += 1, |_| negative += 1);
        }
        (positive, negative)
    }

    /// The positive and the negative pairs as one bit each.
    #[doc(hidden)]
    #[must_use]
    pub fn mask(&self) -> PairMask {
        let same = |q| self.self_match(q);
        if let Knowledge::Labels { query, reference } = &self.knowledge {
            let (query, reference) = (query.as_slice(), reference.as_slice());
            return PairMask::select(self.queries, self.references, |q, p, n, _: &mut ()| {
                let (label, same) = (query[q], same(q));
                for (r, other) in reference.iter().enumerate() {
                    let (equal, counts) = (*other == label, same != Some(r));
                    p.insert_if(r, equal & counts);
                    n.insert_if(r, !equal & counts);
                }
            });
        }
        PairMask::select(self.queries, self.references, |q, p, n, _: &mut ()| {
            self.visit_row(q, |r| p.insert(r), |r| n.insert(r));
        })
    }

    /// Appends the reference rows that are positive and negative for query row `q`, each in ascending order.
    pub fn split(&self, q: usize, positives: &mut Vec<u32>, negatives: &mut Vec<u32>) {
        if q >= self.queries {
            return;
        }
        if let Knowledge::Labels { query, reference } = &self.knowledge {
            // One pass over the labels, without a call per pair and without a branch: this runs for every anchor of
            // every batch. Each row is written to the end of both lists and counted in one of them.
            let (label, same) = (query.as_slice()[q], self.self_match(q));
            let reference = reference.as_slice();
            let (mut p, mut n) = (positives.len(), negatives.len());
            positives.resize(p + reference.len(), 0);
            negatives.resize(n + reference.len(), 0);
            for (r, other) in reference.iter().enumerate() {
                positives[p] = r as u32;
                negatives[n] = r as u32;
                let (equal, counts) = (*other == label, same != Some(r));
                p += usize::from(equal & counts);
                n += usize::from(!equal & counts);
            }
            positives.truncate(p);
            negatives.truncate(n);
            return;
        }
        let positive = |r| positives.push(r as u32);
        self.visit_row(q, positive, |r| negatives.push(r as u32));
    }

    /// Asks for each pair of a row what it is.
    fn visit_row(
        &self,
        q: usize,
        mut positive: impl FnMut(usize),
        mut negative: impl FnMut(usize),
    ) {
        for r in 0..self.references {
            match self.pair_kind(q, r) {
                PairKind::Positive(_) => positive(r),
                PairKind::Negative(_) => negative(r),
                PairKind::Ignored => {}
            }
        }
    }
}
