//! References of a file, and those that were added since.
//!
//! Rows of a mapped file can't be appended to. Both parts are searched, and the nearest of both are the nearest; where one
//! part is empty, the other one is searched as if it were alone.

use std::ops::Range;

use dml_core::Result;
use dml_core::kernels::Real;

use super::spans::{NearestOfSpans, WithinOfSpans};
use super::{Affinity, Neighbors, NeighborsWithin, References};

/// References in two parts, of which the second one grows.
#[derive(Clone)]
pub(crate) struct Segments<T> {
    /// Those of a file; none, if there is no file.
    base: References<T>,
    /// The rows after them.
    added: References<T>,
}

impl<T: Real> Segments<T> {
    /// No rows yet, of `dim` coordinates each.
    pub(crate) fn new(dim: usize) -> Self {
        Self::of_base(References::new(dim))
    }

    /// The rows of a file.
    pub(crate) fn of_base(base: References<T>) -> Self {
        Self {
            added: References::new(base.dim()),
            base,
        }
    }

    /// The rows of a file that has been read.
    pub(crate) fn in_memory_of(added: References<T>) -> Self {
        Self {
            base: References::new(added.dim()),
            added,
        }
    }

    /// Appends `[rows, dim]`.
    pub(crate) fn extend(&mut self, rows: &[T]) {
        self.added.extend(rows);
    }

    pub(crate) fn len(&self) -> usize {
        self.base.len() + self.added.len()
    }

    pub(crate) fn dim(&self) -> usize {
        self.added.dim()
    }

    /// One row.
    pub(crate) fn row(&self, r: usize) -> &[T] {
        match r.checked_sub(self.base.len()) {
            None => self.base.row(r),
            Some(r) => self.added.row(r),
        }
    }

    /// All rows, if they are one after the other in memory.
    pub(crate) fn in_memory(&self) -> Option<&References<T>> {
        self.base.is_empty().then_some(&self.added)
    }

    /// The parts, each with the number of its first row.
    fn parts(&self) -> [(usize, &References<T>); 2] {
        [(0, &self.base), (self.base.len(), &self.added)]
    }

    /// The rows one after the other, in at most two pieces.
    pub(crate) fn pieces(&self) -> [&[T]; 2] {
        self.parts().map(|(_, part)| part.rows())
    }

    /// ‖r‖² of each row, in at most two pieces.
    pub(crate) fn squared_norms(&self) -> [&[T]; 2] {
        self.parts().map(|(_, part)| part.squared_norms())
    }

    /// How many of the rows are in a file: the first ones.
    pub(crate) fn mapped(&self) -> usize {
        self.base.len()
    }

    /// Keeps the rows that `keep` says, in their order. They come into memory if one of a file goes.
    pub(crate) fn retain(&mut self, keep: &[bool]) {
        let (of_base, of_added) = keep.split_at(self.base.len());
        if of_base.contains(&false) {
            self.base.retain(of_base);
        }
        self.added.retain(of_added);
        if !self.base.is_empty() && !self.base.is_mapped() {
            // What is in memory is searched in one piece.
            self.base.append(&mut self.added);
            std::mem::swap(&mut self.base, &mut self.added);
        }
    }

    /// Makes sure that rows of the file are those that were written.
    ///
    /// # Errors
    /// If a block has been altered.
    pub(crate) fn check(&self, rows: Range<usize>) -> Result<()> {
        let end = rows.end.min(self.base.len());
        self.base.check(rows.start.min(end)..end)
    }

    /// As [`References::nearest`].
    pub(crate) fn nearest(
        &self,
        queries: &[T],
        k: usize,
        affinity: Affinity,
        excluded: impl Fn(usize) -> Option<u32> + Sync,
    ) -> Neighbors {
        if let Some(rows) = self.in_memory() {
            return rows.nearest(queries, k, affinity, excluded);
        }
        if self.added.is_empty() {
            return self.base.nearest(queries, k, affinity, excluded);
        }
        let mut nearest = NearestOfSpans::new(queries.len() / self.dim().max(1), k, affinity);
        for (start, part) in self.parts() {
            let wanted = nearest.wanted(part.len());
            let found = part.nearest(queries, wanted, affinity, |_| None);
            nearest.take(&found, |row| start as u32 + row, &excluded);
        }
        nearest.into_neighbors()
    }

    /// The nearest of some rows, which are ascending.
    pub(crate) fn nearest_among(
        &self,
        queries: &[T],
        k: usize,
        affinity: Affinity,
        rows: &[u32],
    ) -> Neighbors {
        let split = rows.partition_point(|row| (*row as usize) < self.base.len());
        let (of_base, of_added) = rows.split_at(split);
        let start = self.base.len() as u32;
        let of_added: Vec<u32> = of_added.iter().map(|row| row - start).collect();
        if of_base.is_empty() && start == 0 {
            return self.added.nearest_among(queries, k, affinity, &of_added);
        }
        let k = k.min(rows.len());
        let mut nearest = NearestOfSpans::new(queries.len() / self.dim().max(1), k, affinity);
        let parts = [
            (0, &self.base, of_base),
            (start, &self.added, &of_added[..]),
        ];
        for (start, part, rows) in parts {
            if !rows.is_empty() {
                let found = part.nearest_among(queries, k, affinity, rows);
                nearest.take(&found, |row| start + row, |_| None);
            }
        }
        nearest.into_neighbors()
    }

    /// As [`References::within`].
    pub(crate) fn within(
        &self,
        queries: &[T],
        threshold: f64,
        affinity: Affinity,
        excluded: impl Fn(usize) -> Option<u32> + Sync,
    ) -> NeighborsWithin {
        if let Some(rows) = self.in_memory() {
            return rows.within(queries, threshold, affinity, excluded);
        }
        let mut within = WithinOfSpans::new(queries.len() / self.dim().max(1), affinity);
        for (start, part) in self.parts() {
            let start = start as u32;
            let excluded = |q| excluded(q).and_then(|row: u32| row.checked_sub(start));
            within.take(&part.within(queries, threshold, affinity, excluded), start);
        }
        within.into_neighbors()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kernels::nearest::numbers::{MappedBytes, MappedNumbers, Numbers};

    struct Bytes(Vec<u64>);

    impl MappedBytes for Bytes {
        fn bytes(&self) -> &[u8] {
            bytemuck::cast_slice(&self.0)
        }

        fn check(&self, _: Range<usize>) -> Result<()> {
            Ok(())
        }
    }

    /// The first `split` rows as if they were of a file.
    fn in_two(rows: &[f64], split: usize) -> Segments<f64> {
        let mut whole = References::new(2);
        whole.extend(&rows[..2 * split]);
        let mapped = |numbers: &[f64]| {
            let file = Bytes(numbers.iter().map(|x| x.to_bits()).collect());
            Numbers::Mapped(MappedNumbers::new(Arc::new(file), 0, numbers.len()).unwrap())
        };
        let norms = mapped(whole.squared_norms());
        let mut segments =
            Segments::of_base(References::of_numbers(2, mapped(whole.rows()), norms));
        segments.extend(&rows[2 * split..]);
        segments
    }

    #[test]
    fn two_parts_are_searched_as_one() {
        let number = |i: usize| ((i * 7919) % 513) as f64 / 64.0 - 4.0;
        let rows: Vec<f64> = (0..800).map(number).collect();
        let mut whole = Segments::new(2);
        whole.extend(&rows);
        let queries = [0.5, -1.0, rows[300], rows[301], rows[780], rows[781]];
        let excluded = |q: usize| [None, Some(150), Some(390)][q];
        let among: Vec<u32> = (0..400).filter(|row| row % 3 == 1).collect();
        for split in [0, 1, 200, 399, 400] {
            let two = in_two(&rows, split);
            assert_eq!((two.len(), two.dim()), (400, 2));
            assert_eq!(two.row(300), whole.row(300));
            for affinity in [Affinity::SquaredEuclidean, Affinity::InnerProduct] {
                for k in [1, 9, 399] {
                    let found = two.nearest(&queries, k, affinity, excluded);
                    assert_eq!(found, whole.nearest(&queries, k, affinity, excluded));
                    let found = two.nearest_among(&queries, k, affinity, &among);
                    assert_eq!(found, whole.nearest_among(&queries, k, affinity, &among));
                }
                let found = two.within(&queries, 1.0, affinity, excluded);
                assert_eq!(found, whole.within(&queries, 1.0, affinity, excluded));
            }
        }
    }

    #[test]
    fn rows_that_stay_are_in_memory() {
        let rows: Vec<f64> = (0..12).map(f64::from).collect();
        let mut two = in_two(&rows, 4);
        two.retain(&[true, true, true, true, false, true]);
        assert!(two.in_memory().is_none());
        assert_eq!((two.len(), two.row(4)), (5, [10.0, 11.0].as_slice()));
        two.retain(&[true, false, true, true, true]);
        assert_eq!(two.in_memory().unwrap().len(), 4);
        assert_eq!(
            (two.row(1), two.row(3)),
            ([4., 5.].as_slice(), [10., 11.].as_slice())
        );
        assert_eq!(two.squared_norms()[1], [1.0, 41.0, 85.0, 221.0]);
    }
}
