//! The nearest of all rows from the nearest of several spans of them.

use rayon::prelude::*;

use super::best::closest_first;
use super::{Affinity, Neighbors, NeighborsWithin};

/// A key, the smaller the closer, and a row.
type Found = (f64, u32);

/// What the spans before have found: the `k` nearest of each query so far.
pub(crate) struct NearestOfSpans {
    k: usize,
    affinity: Affinity,
    best: Vec<Vec<Found>>,
}

impl NearestOfSpans {
    pub(crate) fn new(queries: usize, k: usize, affinity: Affinity) -> Self {
        Self {
            k,
            affinity,
            best: vec![Vec::new(); queries],
        }
    }

    /// How many neighbours a span of so many rows must give for each query: one more than asked for, since the one that
    /// is excluded may be among them.
    pub(crate) fn wanted(&self, rows: usize) -> usize {
        (self.k + 1).min(rows)
    }

    /// Takes in what a span has found, whose rows are numbered by `row`, in ascending order, among all.
    pub(crate) fn take(
        &mut self,
        found: &Neighbors,
        row: impl Fn(u32) -> u32 + Sync,
        excluded: impl Fn(usize) -> Option<u32> + Sync,
    ) {
        let (k, affinity, of_span) = (self.k, self.affinity, found.k);
        self.best.par_iter_mut().enumerate().for_each(|(q, best)| {
            let excluded = excluded(q);
            let range = q * of_span..(q + 1) * of_span;
            let values = found.distances[range.clone()].iter();
            for (value, found) in values.zip(&found.indices[range]) {
                let row = row(*found);
                if excluded != Some(row) {
                    best.push((affinity.value(*value), row));
                }
            }
            best.sort_unstable_by(closest_first);
            best.truncate(k);
        });
    }

    /// The nearest of all spans. There must be `k` for each query.
    pub(crate) fn into_neighbors(self) -> Neighbors {
        let mut nearest = Neighbors::with_capacity(self.best.len(), self.k);
        let found = self.best.into_iter().flatten();
        nearest.extend(found.map(|(key, row)| (self.affinity.value(key), row)));
        nearest
    }
}

/// All that several spans have found within a threshold.
pub(crate) struct WithinOfSpans {
    affinity: Affinity,
    all: Vec<Vec<Found>>,
}

impl WithinOfSpans {
    pub(crate) fn new(queries: usize, affinity: Affinity) -> Self {
        Self {
            affinity,
            all: vec![Vec::new(); queries],
        }
    }

    /// Takes in what the span that begins with row `start` has found.
    pub(crate) fn take(&mut self, found: &NeighborsWithin, start: u32) {
        for (all, (rows, values)) in self.all.iter_mut().zip(found.iter()) {
            let found = values.iter().zip(rows);
            all.extend(found.map(|(value, row)| (self.affinity.value(*value), start + row)));
        }
    }

    pub(crate) fn into_neighbors(self) -> NeighborsWithin {
        let mut within = NeighborsWithin::none(0);
        for mut found in self.all {
            found.sort_unstable_by(closest_first);
            let values = found.iter();
            within.push_query(values.map(|(key, row)| (self.affinity.value(*key), *row)));
        }
        within
    }
}
