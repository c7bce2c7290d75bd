//! Rows that are kept in half precision, and searched a span at a time in single precision.

use std::ops::Range;

use dml_core::Result;
use half::f16;
use rayon::prelude::*;

use crate::index::{Neighbors, NeighborsWithin};
use crate::kernels::nearest::{
    Affinity, NearestOfSpans, Numbers, References, WithinOfSpans, retain_rows,
};

/// Rows that are in memory in single precision at a time.
const SPAN: usize = 1 << 15;

/// Rows `[rows, dim]` of 16-bit numbers: those of a file that is mapped, and those that were added.
#[derive(Clone)]
pub(crate) struct Float16Rows {
    base: Numbers<f16>,
    added: Vec<f16>,
    dim: usize,
}

impl Float16Rows {
    pub(crate) fn new(dim: usize) -> Self {
        Self::of_numbers(dim, Numbers::none())
    }

    /// The rows of a file.
    pub(crate) fn of_numbers(dim: usize, mut rows: Numbers<f16>) -> Self {
        let mut added = Vec::new();
        if !rows.are_mapped() {
            added = std::mem::take(rows.to_mut());
        }
        Self {
            base: rows,
            added,
            dim,
        }
    }

    /// Appends `[rows, dim]`.
    pub(crate) fn extend(&mut self, rows: &[f16]) {
        self.added.extend_from_slice(rows);
    }

    pub(crate) fn len(&self) -> usize {
        (self.base.len() + self.added.len()) / self.dim.max(1)
    }

    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// The rows one after the other, in at most two pieces.
    pub(crate) fn pieces(&self) -> [&[f16]; 2] {
        [&self.base, &self.added]
    }

    /// One row in single precision.
    pub(crate) fn row(&self, r: usize) -> Vec<f32> {
        let start = r * self.dim;
        let row = match start.checked_sub(self.base.len()) {
            None => &self.base[start..][..self.dim],
            Some(start) => &self.added[start..][..self.dim],
        };
        row.iter().map(|x| x.to_f32()).collect()
    }

    /// How many of the rows are in a file: the first ones.
    pub(crate) fn mapped(&self) -> usize {
        self.base.len() / self.dim.max(1)
    }

    /// Keeps the rows that `keep` says, in their order. They come into memory if one of a file goes.
    pub(crate) fn retain(&mut self, keep: &[bool]) {
        let (of_base, of_added) = keep.split_at(self.mapped());
        if of_base.contains(&false) {
            let mut rows = self.base.to_vec();
            rows.append(&mut self.added);
            (self.base, self.added) = (Numbers::none(), rows);
            retain_rows(&mut self.added, keep);
        } else {
            retain_rows(&mut self.added, of_added);
        }
    }

    /// Makes sure that rows of a file are those that were written.
    ///
    /// # Errors
    /// If a block of the file has been altered.
    pub(crate) fn check(&self, rows: Range<usize>) -> Result<()> {
        let end = (rows.end * self.dim).min(self.base.len());
        self.base.check((rows.start * self.dim).min(end)..end)
    }

    /// As [`References::nearest`].
    pub(crate) fn nearest(
        &self,
        queries: &[f32],
        k: usize,
        affinity: Affinity,
        excluded: impl Fn(usize) -> Option<u32> + Sync,
    ) -> Neighbors {
        let count = queries.len() / self.dim.max(1);
        let mut nearest = NearestOfSpans::new(count, k, affinity);
        for (start, span) in self.spans() {
            let wanted = nearest.wanted(span.len());
            let found = span.nearest(queries, wanted, affinity, |_| None);
            nearest.take(&found, |row| start + row, &excluded);
        }
        nearest.into_neighbors()
    }

    /// As [`References::nearest_among`].
    pub(crate) fn nearest_among(
        &self,
        queries: &[f32],
        k: usize,
        affinity: Affinity,
        rows: &[u32],
    ) -> Neighbors {
        let count = queries.len() / self.dim.max(1);
        let k = k.min(rows.len());
        let mut nearest = NearestOfSpans::new(count, k, affinity);
        for rows in rows.chunks(SPAN) {
            let single = rows.par_iter().flat_map_iter(|row| self.row(*row as usize));
            let mut span = References::new(self.dim);
            span.extend(&single.collect::<Vec<f32>>());
            let found = span.nearest(queries, k.min(rows.len()), affinity, |_| None);
            nearest.take(&found, |row| rows[row as usize], |_| None);
        }
        nearest.into_neighbors()
    }

    /// As [`References::within`].
    pub(crate) fn within(
        &self,
        queries: &[f32],
        threshold: f64,
        affinity: Affinity,
        excluded: impl Fn(usize) -> Option<u32> + Sync,
    ) -> NeighborsWithin {
        let mut within = WithinOfSpans::new(queries.len() / self.dim.max(1), affinity);
        for (start, span) in self.spans() {
            let excluded = |q| excluded(q).and_then(|row| row.checked_sub(start));
            within.take(&span.within(queries, threshold, affinity, excluded), start);
        }
        within.into_neighbors()
    }

    /// Spans in single precision, each with its first row.
    fn spans(&self) -> impl Iterator<Item = (u32, References<f32>)> {
        let spans = self.pieces().into_iter();
        let numbers = SPAN * self.dim.max(1);
        let spans = spans.flat_map(move |piece| piece.chunks(numbers));
        let mut next = 0u32;
        spans.map(move |span| {
            let rows: Vec<f32> = span.par_iter().map(|x| x.to_f32()).collect();
            let mut references = References::new(self.dim);
            references.extend(&rows);
            let start = next;
            next += references.len() as u32;
            (start, references)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More rows than a span, some of them equal.
    fn rows() -> Vec<f16> {
        let number = |i: usize| f16::from_f32(((i * 7919) % 513) as f32 / 64.0 - 4.0);
        (0..2 * (SPAN + 1000)).map(number).collect()
    }

    #[test]
    fn spans_are_as_if_there_were_one() {
        let (mut half, mut whole) = (Float16Rows::new(2), References::new(2));
        half.extend(&rows());
        whole.extend(&rows().iter().map(|x| x.to_f32()).collect::<Vec<f32>>());
        let queries = [
            0.5f32,
            -1.0,
            3.0,
            3.0,
            half.row(SPAN + 5)[0],
            half.row(SPAN + 5)[1],
        ];
        let self_matches = |q: usize| [None, Some(3), Some(SPAN as u32 + 5)][q];
        for affinity in [Affinity::SquaredEuclidean, Affinity::InnerProduct] {
            for k in [1, 50, 2000] {
                let found = half.nearest(&queries, k, affinity, self_matches);
                assert_eq!(found, whole.nearest(&queries, k, affinity, self_matches));
            }
            let threshold = if affinity == Affinity::InnerProduct {
                9.0
            } else {
                0.5
            };
            let found = half.within(&queries, threshold, affinity, self_matches);
            assert!(!found.indices.is_empty());
            assert_eq!(
                found,
                whole.within(&queries, threshold, affinity, self_matches)
            );
        }
    }

    #[test]
    fn rows_that_stay_keep_their_order() {
        let mut half = Float16Rows::new(1);
        half.extend(&[1.0, 2.0, 3.0].map(f16::from_f32));
        half.retain(&[true, false, true]);
        assert_eq!((half.len(), half.row(1)), (2, vec![3.0]));
    }
}
