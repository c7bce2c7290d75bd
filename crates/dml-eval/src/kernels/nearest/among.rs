//! The nearest of some references, which a filter has chosen.
//!
//! ```text
//! few queries    every chosen row is measured: O(chosen · dim) a query, rows that are not chosen are not read
//! many queries   chosen rows are copied side by side, a span at a time, and searched as all rows are
//! ```
//!
//! Both measure by the same sums, so the result is that of measuring all chosen rows, bit for bit.

use dml_core::kernels::vectorized;
use dml_core::kernels::{Real, lengths};
use rayon::prelude::*;

use super::spans::NearestOfSpans;
use super::{Affinity, Best, Neighbors, References};

/// From so many queries on, copying rows and ruling them out by a product costs less than measuring all.
const COPYING_PAYS_FROM: usize = 8;
/// Rows that are copied at a time.
const SPAN: usize = 1 << 15;
/// Rows that a thread measures at a time, at least.
const FEWEST: usize = 512;

impl<T: Real> References<T> {
    /// The `k` nearest of the listed references, for each of the `queries` `[queries, dim]`; fewer, where fewer are
    /// listed. `rows` are ascending.
    ///
    /// # Panics
    /// If a length does not fit the shapes, or there is no such row.
    pub(crate) fn nearest_among(
        &self,
        queries: &[T],
        k: usize,
        affinity: Affinity,
        rows: &[u32],
    ) -> Neighbors {
        lengths::rows("queries", queries.len(), self.dim);
        let count = queries.len() / self.dim.max(1);
        let k = k.min(rows.len());
        if k == 0 || count == 0 {
            return Neighbors::default();
        }
        if count < COPYING_PAYS_FROM {
            return self.nearest_by_measuring(queries, k, affinity, rows);
        }
        let mut nearest = NearestOfSpans::new(count, k, affinity);
        for rows in rows.chunks(SPAN) {
            let span = self.copied(rows);
            let found = span.nearest(queries, k.min(rows.len()), affinity, |_| None);
            nearest.take(&found, |row| rows[row as usize], |_| None);
        }
        nearest.into_neighbors()
    }

    fn nearest_by_measuring(
        &self,
        queries: &[T],
        k: usize,
        affinity: Affinity,
        rows: &[u32],
    ) -> Neighbors {
        let piece = rows.len().div_ceil(4 * rayon::current_num_threads());
        let measured: Vec<Vec<Best>> = rows
            .par_chunks(piece.max(FEWEST))
            .map(|rows| {
                vectorized(
                    #[inline(always)]
                    || self.measure_listed(queries, k, affinity, rows),
                )
            })
            .collect();
        let mut parts = measured.into_iter();
        let mut best = parts.next().unwrap_or_default();
        for part in parts {
            for (best, part) in best.iter_mut().zip(part) {
                best.merge(part);
            }
        }
        let mut nearest = Neighbors::with_capacity(best.len(), k);
        let found = best.into_iter().flat_map(Best::into_sorted);
        nearest.extend(found.map(|(key, row)| (affinity.value(key), row)));
        nearest
    }

    #[inline(always)]
    fn measure_listed(
        &self,
        queries: &[T],
        k: usize,
        affinity: Affinity,
        listed: &[u32],
    ) -> Vec<Best> {
        let rows: &[T] = &self.rows;
        let count = queries.len() / self.dim;
        let mut best: Vec<Best> = (0..count).map(|_| Best::new(k)).collect();
        for row in listed {
            let reference = &rows[*row as usize * self.dim..][..self.dim];
            for (best, query) in best.iter_mut().zip(queries.chunks_exact(self.dim)) {
                best.push(affinity.key(query, reference), *row);
            }
        }
        best
    }

    /// The listed rows, side by side.
    fn copied(&self, listed: &[u32]) -> Self {
        let (all, norms): (&[T], &[T]) = (&self.rows, &self.squared_norms);
        let mut rows = vec![T::ZERO; listed.len() * self.dim];
        let places = rows.par_chunks_exact_mut(self.dim).with_min_len(256);
        places.zip(listed).for_each(|(place, row)| {
            place.copy_from_slice(&all[*row as usize * self.dim..][..self.dim]);
        });
        let norms = listed.iter().map(|row| norms[*row as usize]);
        Self {
            rows: super::Numbers::Owned(rows),
            dim: self.dim,
            squared_norms: super::Numbers::Owned(norms.collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::nearest::closest_first;

    #[test]
    fn chosen_rows_are_searched_as_if_there_were_no_others() {
        let (dim, count) = (70, 3000);
        let number = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0 - 0.5;
        let mut rows: Vec<f32> = (0..count * dim).map(number).collect();
        // Equal rows: ties go to the lower one.
        rows.copy_within(0..10 * dim, 2000 * dim);
        let queries: Vec<f32> = (0..40 * dim).map(|i| number(i + 31)).collect();
        let mut all = References::new(dim);
        all.extend(&rows);
        for every in [1, 2, 20, 1500] {
            let chosen: Vec<u32> = (0..count as u32).filter(|row| row % every == 0).collect();
            for affinity in [Affinity::SquaredEuclidean, Affinity::InnerProduct] {
                for (asked, k) in [(1, 10), (3, 1), (8, 10), (40, 3), (40, 5000)] {
                    let queries = &queries[..asked * dim];
                    let found = all.nearest_among(queries, k, affinity, &chosen);
                    assert_eq!(found.k, k.min(chosen.len()));
                    for (query, (rows, values)) in queries.chunks_exact(dim).zip(found.iter()) {
                        let keys = chosen.iter().map(|row| *row as usize);
                        let keys = keys.map(|row| (affinity.key(query, all.row(row)), row as u32));
                        let mut want: Vec<(f64, u32)> = keys.collect();
                        want.sort_unstable_by(closest_first);
                        let got = values.iter().zip(rows);
                        let got: Vec<(f64, u32)> = got
                            .map(|(value, row)| (affinity.value(*value), *row))
                            .collect();
                        assert_eq!(got, want[..found.k]);
                    }
                }
            }
        }
        let none = all.nearest_among(&queries, 3, Affinity::InnerProduct, &[]);
        assert_eq!(none, Neighbors::default());
    }
}
