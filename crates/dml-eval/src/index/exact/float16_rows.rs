//! Rows that are kept in half precision, and searched a span at a time in single precision.

use half::f16;
use rayon::prelude::*;

use crate::index::{Neighbors, NeighborsWithin};
use crate::kernels::nearest::{Affinity, References, closest_first, retain_rows};

/// Rows that are in memory in single precision at a time.
const SPAN: usize = 1 << 15;

/// Rows `[rows, dim]` of 16-bit numbers.
#[derive(Clone, Default)]
pub(crate) struct Float16Rows {
    rows: Vec<f16>,
    dim: usize,
}

/// A key, the smaller the closer, and a row.
type Found = (f64, u32);

impl Float16Rows {
    pub(crate) fn new(dim: usize) -> Self {
        Self {
            rows: Vec::new(),
            dim,
        }
    }

    /// Appends `[rows, dim]`.
    pub(crate) fn extend(&mut self, rows: &[f16]) {
        self.rows.extend_from_slice(rows);
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len() / self.dim.max(1)
    }

    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    pub(crate) fn rows(&self) -> &[f16] {
        &self.rows
    }

    /// One row in single precision.
    pub(crate) fn row(&self, r: usize) -> Vec<f32> {
        let row = &self.rows[r * self.dim..][..self.dim];
        row.iter().map(|x| x.to_f32()).collect()
    }

    /// Keeps the rows that `keep` says, in their order.
    pub(crate) fn retain(&mut self, keep: &[bool]) {
        retain_rows(&mut self.rows, keep);
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
        let mut best: Vec<Vec<Found>> = vec![Vec::new(); count];
        for (start, span) in self.spans() {
            // One more, for the one that may be excluded.
            let wanted = (k + 1).min(span.len());
            let found = span.nearest(queries, wanted, affinity, |_| None);
            best.par_iter_mut().enumerate().for_each(|(q, best)| {
                let excluded = excluded(q);
                let range = q * wanted..(q + 1) * wanted;
                let values = found.distances[range.clone()].iter();
                for (value, row) in values.zip(&found.indices[range]) {
                    let row = start + row;
                    if excluded != Some(row) {
                        best.push((affinity.value(*value), row));
                    }
                }
                best.sort_unstable_by(closest_first);
                best.truncate(k);
            });
        }
        let mut nearest = Neighbors::with_capacity(count, k);
        let found = best.into_iter().flatten();
        nearest.extend(found.map(|(key, row)| (affinity.value(key), row)));
        nearest
    }

    /// As [`References::within`].
    pub(crate) fn within(
        &self,
        queries: &[f32],
        threshold: f64,
        affinity: Affinity,
        excluded: impl Fn(usize) -> Option<u32> + Sync,
    ) -> NeighborsWithin {
        let count = queries.len() / self.dim.max(1);
        let mut all: Vec<Vec<Found>> = vec![Vec::new(); count];
        for (start, span) in self.spans() {
            let excluded = |q| excluded(q).and_then(|row| row.checked_sub(start));
            let found = span.within(queries, threshold, affinity, excluded);
            for (all, (rows, values)) in all.iter_mut().zip(found.iter()) {
                let found = values.iter().zip(rows);
                all.extend(found.map(|(value, row)| (affinity.value(*value), start + row)));
            }
        }
        let mut within = NeighborsWithin::none(0);
        for mut found in all {
            found.sort_unstable_by(closest_first);
            within.push_query(found.iter().map(|(key, row)| (affinity.value(*key), *row)));
        }
        within
    }

    /// Spans in single precision, each with its first row.
    fn spans(&self) -> impl Iterator<Item = (u32, References<f32>)> {
        let spans = self.rows.chunks(SPAN * self.dim.max(1));
        (0u32..).step_by(SPAN).zip(spans).map(|(start, span)| {
            let rows: Vec<f32> = span.par_iter().map(|x| x.to_f32()).collect();
            let mut references = References::new(self.dim);
            references.extend(&rows);
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
