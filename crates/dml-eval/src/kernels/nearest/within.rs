//! All references that are close enough, however many.

use std::ops::Range;

use dml_core::kernels::lengths;
use dml_core::kernels::matrix_product::{Existing, Matrix, MatrixMut, product};
use dml_core::kernels::{Real, vectorized};
use rayon::prelude::*;

use super::block::Block;
use super::filter::TILE;
use super::tasks::{WITHIN, cut, tasks};
use super::{Affinity, NeighborsWithin, References, closest_first, number_error};

/// What is found for each query of a block: closest first.
type Found = Vec<Vec<(f64, u32)>>;

impl<T: Real> References<T> {
    /// The references at a squared distance of at most `threshold`, or with an inner product of at least `threshold`,
    /// from each of the `queries` `[queries, dim]`; closest first, ties by row.
    ///
    /// `excluded(q)` is a reference that query `q` must not find. What is compared is summed in double precision, as in
    /// [`nearest`](References::nearest). Rows are finite numbers.
    ///
    /// # Panics
    /// If a length does not fit the shapes.
    pub(crate) fn within(
        &self,
        queries: &[T],
        threshold: f64,
        affinity: Affinity,
        excluded: impl Fn(usize) -> Option<u32> + Sync,
    ) -> NeighborsWithin {
        lengths::rows("queries", queries.len(), self.dim);
        let count = queries.len() / self.dim.max(1);
        let limit = affinity.value(threshold);
        if count == 0 || self.is_empty() {
            return NeighborsWithin::none(count);
        }
        let (blocks, spans) = tasks(count, self.len(), WITHIN, rayon::current_num_threads());
        let found: Vec<Found> = blocks
            .into_par_iter()
            .map(|block| {
                let rows = &queries[block.start * self.dim..block.end * self.dim];
                let excluded: Vec<Option<u32>> = block.map(&excluded).collect();
                let block = Block::new(self, affinity, rows, &excluded);
                let search = |span: &Range<usize>| {
                    vectorized(
                        #[inline(always)]
                        || search(&block, span.clone(), limit),
                    )
                };
                joined(spans.par_iter().map(search).collect())
            })
            .collect();
        let mut within = NeighborsWithin::none(0);
        for of_query in found.into_iter().flatten() {
            within.push_query(of_query.iter().map(|(key, r)| (affinity.value(*key), *r)));
        }
        within
    }
}

/// What all spans have found, in the order that it would have if there were one.
fn joined(parts: Vec<Found>) -> Found {
    let is_shared = parts.len() > 1;
    let mut parts = parts.into_iter();
    let mut found = parts.next().unwrap_or_default();
    for part in parts {
        for (found, part) in found.iter_mut().zip(part) {
            found.extend(part);
        }
    }
    if is_shared {
        found
            .iter_mut()
            .for_each(|found| found.sort_unstable_by(closest_first));
    }
    found
}

/// The search of a block of queries in some of the references, for keys up to `limit`.
#[inline(always)]
fn search<T: Real>(block: &Block<'_, T>, span: Range<usize>, limit: f64) -> Found {
    let references = block.references;
    let (dim, count) = (references.dim, block.excluded.len());
    let columns = block.columns(count);
    let mut products = vec![T::ZERO; TILE * count];
    let mut found = vec![Vec::new(); count];
    let tiles = cut(span.len(), TILE).into_iter();
    for tile in tiles.map(|tile| span.start + tile.start..span.start + tile.end) {
        let products = &mut products[..tile.len() * count];
        let rows = &references.rows[tile.start * dim..tile.end * dim];
        product(
            MatrixMut::of_rows(products, tile.len(), count, count),
            Matrix::of_rows(rows, tile.len(), dim, dim),
            Matrix::of_rows(&columns, dim, count, count),
            T::ONE,
            Existing::Overwrite,
        );
        block.take_tile(products, tile, limit, &mut found);
    }
    for of_query in &mut found {
        of_query.sort_unstable_by(closest_first);
    }
    found
}

impl<T: Real> Block<'_, T> {
    /// Measures the references of the tile that their numbers don't rule out.
    #[inline(always)]
    fn take_tile(&self, products: &[T], tile: Range<usize>, limit: f64, found: &mut Found) {
        let (dim, query_norms) = (self.references.dim, &self.squared_norms);
        for (r, products) in tile.zip(products.chunks_exact(query_norms.len())) {
            let norm = self.references.squared_norms[r].to_f64();
            for (q, (product, query_norm)) in products.iter().zip(query_norms).enumerate() {
                let scale = norm + query_norm;
                let number = match self.affinity {
                    Affinity::SquaredEuclidean => scale - 2.0 * product.to_f64(),
                    Affinity::InnerProduct => -product.to_f64(),
                };
                // What is not a number, after an overflow, is measured.
                let ruled_out = number > limit + number_error::<T>(dim, scale);
                if ruled_out || self.excluded[q] == Some(r as u32) {
                    continue;
                }
                let key = self.measure(q, r as u32);
                if key <= limit {
                    found[q].push((key, r as u32));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that are no multiples of each other.
    fn rows(count: usize, dim: usize, seed: usize) -> Vec<f32> {
        let number = |i: usize| ((i * 7919 + seed * 104_729) % 1009) as f32 / 1009.0 - 0.5;
        (0..count * dim).map(number).collect()
    }

    #[test]
    fn exactly_those_that_measure_up_are_found() {
        let (dim, references, queries) = (9, 700, 130);
        let (r, q) = (rows(references, dim, 1), rows(queries, dim, 2));
        let mut index = References::new(dim);
        index.extend(&r);
        for (affinity, threshold) in [
            (Affinity::SquaredEuclidean, 0.9),
            (Affinity::InnerProduct, 0.2),
        ] {
            let found = index.within(&q, threshold, affinity, |q| Some(q as u32));
            assert_eq!(found.offsets.len(), queries + 1);
            assert!(!found.indices.is_empty() && found.indices.len() < references * queries / 2);
            for (i, query) in q.chunks_exact(dim).enumerate() {
                let mut want: Vec<(f64, u32)> = r
                    .chunks_exact(dim)
                    .enumerate()
                    .filter(|(row, _)| *row != i)
                    .map(|(row, reference)| (affinity.key(query, reference), row as u32))
                    .filter(|(key, _)| {
                        affinity.value(*key) * sign(affinity) <= threshold * sign(affinity)
                    })
                    .collect();
                want.sort_unstable_by(closest_first);
                let range = found.offsets[i]..found.offsets[i + 1];
                let want_rows: Vec<u32> = want.iter().map(|(_, row)| *row).collect();
                assert_eq!(found.indices[range.clone()], want_rows);
                let want_values = want.iter().map(|(key, _)| affinity.value(*key));
                assert_eq!(found.distances[range], want_values.collect::<Vec<f64>>());
            }
        }
    }

    #[test]
    fn threads_that_share_the_references_of_few_queries_change_nothing() {
        let (dim, references) = (3, 20_000);
        let mut index = References::new(dim);
        // The second half repeats the first: ties between spans.
        let half = rows(references / 2, dim, 1);
        index.extend(&half);
        index.extend(&half);
        let queries = rows(3, dim, 2);
        for (affinity, threshold) in [
            (Affinity::SquaredEuclidean, 0.3),
            (Affinity::InnerProduct, 0.1),
        ] {
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                let search = || index.within(&queries, threshold, affinity, |q| Some(q as u32));
                pool.unwrap().install(search)
            };
            let one = on(1);
            assert!(one.indices.len() > 100);
            let (_, spans) = tasks(3, references, WITHIN, 8);
            assert!(spans.len() > 2, "the references are shared");
            for threads in [2, 8] {
                assert_eq!(on(threads), one, "{threads}");
            }
        }
    }

    fn sign(affinity: Affinity) -> f64 {
        match affinity {
            Affinity::SquaredEuclidean => 1.0,
            Affinity::InnerProduct => -1.0,
        }
    }

    #[test]
    fn nothing_within_and_everything_within() {
        let mut index = References::new(1);
        let none = index.within(&[1f32], 1.0, Affinity::SquaredEuclidean, |_| None);
        assert_eq!(none.offsets, [0, 0]);
        index.extend(&[1e30, -1e30]);
        // Squares overflow in single precision, not in double.
        let all = index.within(&[1e30], f64::INFINITY, Affinity::SquaredEuclidean, |_| None);
        assert_eq!(all.indices, [0, 1]);
        let none = index.within(&[1e30], -1.0, Affinity::SquaredEuclidean, |_| None);
        assert_eq!(none.offsets, [0, 0]);
    }
}
