//! Ruling out all but a few references by a number that a matrix product gives.

use std::ops::Range;

use pulp::Arch;

use super::{Affinity, Best, REFERENCES, References, dot, key};
use crate::Real;
use crate::matmul::columns_times_rows;

/// Queries whose numbers are compared with their thresholds at once.
const LANES: usize = 64;

/// A block of queries on its way through the references.
pub(super) struct Filter<'a, T> {
    references: &'a References<T>,
    affinity: Affinity,
    queries: &'a [T],
    excluded: &'a [Option<u32>],
    /// The queries with coordinates outermost, so that one coordinate of all of them is contiguous.
    columns: Vec<T>,
    squared_norms: Vec<f64>,
    /// `number > thresholds[q]` rules a reference out for query `q`.
    thresholds: Vec<T>,
    best: Vec<Best>,
    /// Largest squared norm of the references in the tile.
    largest: f64,
}

impl<'a, T: Real> Filter<'a, T> {
    pub(super) fn new(
        references: &'a References<T>,
        queries: &'a [T],
        k: usize,
        affinity: Affinity,
        excluded: &'a [Option<u32>],
    ) -> Self {
        let (dim, count) = (references.dim, excluded.len());
        let mut columns = vec![T::ZERO; queries.len()];
        for (q, row) in queries.chunks_exact(dim).enumerate() {
            for (k, value) in row.iter().enumerate() {
                columns[k * count + q] = *value;
            }
        }
        Self {
            references,
            affinity,
            queries,
            excluded,
            columns,
            squared_norms: queries.chunks_exact(dim).map(|row| dot(row, row)).collect(),
            thresholds: vec![T::from_f64(f64::INFINITY); count],
            best: vec![Best::new(k); count],
            largest: 0.0,
        }
    }

    /// The best of the references in `span`, for every query of the block.
    pub(super) fn search(mut self, span: Range<usize>) -> Vec<Best> {
        let (dim, count) = (self.references.dim, self.best.len());
        let mut tile = vec![T::ZERO; REFERENCES * count];
        let arch = Arch::new();
        for start in span.clone().step_by(REFERENCES) {
            let end = (start + REFERENCES).min(span.end);
            let products = &mut tile[..(end - start) * count];
            columns_times_rows(
                &self.columns,
                &self.references.rows[start * dim..end * dim],
                products,
                count,
                end - start,
                dim,
            );
            let norms = &self.references.squared_norms[start..end];
            self.largest = norms.iter().fold(0.0, |most, norm| most.max(norm.to_f64()));
            for q in 0..count {
                self.thresholds[q] = self.threshold(q);
            }
            arch.dispatch(|| self.take_tile(products, start));
        }
        self.best
    }

    /// The number above which a reference of the tile is certainly further than the k-th best of query `q`.
    fn threshold(&self, q: usize) -> T {
        let dim = self.references.dim as f64;
        let error = 3.0 * (dim + 16.0) * (T::EPSILON.to_f64() / 2.0) * (self.squared_norms[q] + self.largest)
            // Products may vanish below the smallest normal number.
            + 4.0 * dim * T::MIN_POSITIVE.to_f64();
        let bound = self.best[q].bound();
        T::from_f64(match self.affinity {
            Affinity::SquaredEuclidean => bound - self.squared_norms[q] + error,
            Affinity::InnerProduct => bound + error,
        })
    }

    #[inline(always)]
    fn take_tile(&mut self, products: &[T], start: usize) {
        let count = self.best.len();
        let minus_two = T::from_f64(-2.0);
        for (j, products) in products.chunks_exact(count).enumerate() {
            let (offset, factor) = match self.affinity {
                Affinity::SquaredEuclidean => (self.references.squared_norms[start + j], minus_two),
                Affinity::InnerProduct => (T::ZERO, -T::ONE),
            };
            for first in (0..count).step_by(LANES) {
                let width = LANES.min(count - first);
                let products = &products[first..first + width];
                let thresholds = &self.thresholds[first..first + width];
                // Written so that a number that is not one, after an overflow, is never ruled out.
                let stays = |product: T, threshold: T| !(offset + factor * product > threshold);
                let mut any = false;
                for (product, threshold) in products.iter().zip(thresholds) {
                    any |= stays(*product, *threshold);
                }
                if any {
                    for lane in 0..width {
                        if stays(products[lane], self.thresholds[first + lane]) {
                            self.measure(first + lane, start + j);
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn measure(&mut self, q: usize, r: usize) {
        if self.excluded[q] == Some(r as u32) {
            return;
        }
        let dim = self.references.dim;
        let query = &self.queries[q * dim..][..dim];
        let key = key(self.affinity, query, self.references.row(r));
        if self.best[q].push(key, r as u32) {
            self.thresholds[q] = self.threshold(q);
        }
    }
}
