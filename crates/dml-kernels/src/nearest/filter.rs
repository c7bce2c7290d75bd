//! Ruling out all but a few references by a number that a matrix product gives.

use std::ops::Range;

use pulp::{Arch, NullaryFnOnce};

use super::candidates::Candidates;
use super::{Affinity, Best, References, dot, key};
use crate::Real;
use crate::matrix_product::{Existing, Matrix, MatrixMut, product};

/// References that a tile of the matrix product covers.
pub(super) const TILE: usize = 256;
/// Queries whose numbers are compared with their thresholds at once, where hardly any passes.
const WIDE: usize = 64;
/// Queries whose numbers are compared with their thresholds at once, where some do.
const LANES: usize = 16;

/// A block of queries on its way through a span of the references.
pub(super) struct Filter<'a, T> {
    references: &'a References<T>,
    span: Range<usize>,
    affinity: Affinity,
    queries: &'a [T],
    excluded: &'a [Option<u32>],
    /// The queries with coordinates outermost, `[dim, lanes]`: one coordinate of all of them is contiguous. There are
    /// zeros for the queries that the last vector lacks.
    columns: Vec<T>,
    squared_norms: Vec<f64>,
    /// Largest squared norm of the references in each tile.
    largest: Vec<f64>,
    /// `number > thresholds[q]` rules a reference of the present tile out for query `q`.
    thresholds: Vec<T>,
    /// How far the numbers of the present tile can be off.
    errors: Vec<T>,
    candidates: Vec<Candidates<T>>,
}

impl<'a, T: Real> Filter<'a, T> {
    pub(super) fn new(
        references: &'a References<T>,
        span: Range<usize>,
        queries: &'a [T],
        k: usize,
        affinity: Affinity,
        excluded: &'a [Option<u32>],
    ) -> Self {
        let (dim, count) = (references.dim, excluded.len());
        let lanes = count.next_multiple_of(LANES);
        let mut columns = vec![T::ZERO; dim * lanes];
        for (q, row) in queries.chunks_exact(dim).enumerate() {
            for (k, value) in row.iter().enumerate() {
                columns[k * lanes + q] = *value;
            }
        }
        let largest = |tile: &[T]| tile.iter().fold(0.0, |most, norm| norm.to_f64().max(most));
        let norms = references.squared_norms[span.clone()].chunks(TILE);
        Self {
            references,
            span,
            affinity,
            queries,
            excluded,
            columns,
            squared_norms: queries.chunks_exact(dim).map(|row| dot(row, row)).collect(),
            largest: norms.map(largest).collect(),
            // Nothing is below minus infinity: the zeros never pass.
            thresholds: vec![T::from_f64(f64::NEG_INFINITY); lanes],
            errors: vec![T::ZERO; count],
            candidates: vec![Candidates::new(k); count],
        }
    }

    /// The best of the span, for every query of the block.
    pub(super) fn search(mut self) -> Vec<Best> {
        let (dim, lanes) = (self.references.dim, self.thresholds.len());
        let mut products = vec![T::ZERO; TILE * lanes];
        let arch = Arch::new();
        for tile in 0..self.largest.len() {
            let start = self.span.start + tile * TILE;
            let end = (start + TILE).min(self.span.end);
            let products = &mut products[..(end - start) * lanes];
            let rows = &self.references.rows[start * dim..end * dim];
            let count = end - start;
            product(
                MatrixMut::of_rows(products, count, lanes, lanes),
                Matrix::of_rows(rows, count, dim, dim),
                Matrix::of_rows(&self.columns, dim, lanes, lanes),
                T::ONE,
                Existing::Overwrite,
            );
            for q in 0..self.candidates.len() {
                self.thresholds[q] = self.threshold(q, tile);
                self.errors[q] = T::from_f64(self.error(q, tile));
            }
            arch.dispatch(TakeTile {
                filter: &mut self,
                products,
                tile,
            });
        }
        let candidates = std::mem::take(&mut self.candidates).into_iter();
        let (mut best, rows): (Vec<Best>, Vec<Vec<u32>>) =
            candidates.map(Candidates::into_parts).unzip();
        arch.dispatch(MeasureRest {
            filter: &self,
            best: &mut best,
            rows: &rows,
        });
        best
    }

    /// How far the number of a reference of the tile can be off.
    fn error(&self, q: usize, tile: usize) -> f64 {
        number_error::<T>(
            self.references.dim,
            self.squared_norms[q] + self.largest[tile],
        )
    }

    /// The number above which a reference of the tile is certainly further than the k nearest of query `q`.
    fn threshold(&self, q: usize, tile: usize) -> T {
        T::from_f64(self.candidates[q].bound() + self.error(q, tile))
    }

    /// The key of a reference.
    #[inline(always)]
    fn measure(&self, q: usize, r: u32) -> f64 {
        let dim = self.references.dim;
        let query = &self.queries[q * dim..][..dim];
        key(self.affinity, query, self.references.row(r as usize))
    }

    #[inline(always)]
    fn take_tile(&mut self, products: &[T], tile: usize) {
        let lanes = self.thresholds.len();
        let start = self.span.start + tile * TILE;
        for (j, products) in products.chunks_exact(lanes).enumerate() {
            let (offset, factor) = match self.affinity {
                Affinity::SquaredEuclidean => {
                    (self.references.squared_norms[start + j], T::from_f64(-2.0))
                }
                Affinity::InnerProduct => (T::ZERO, -T::ONE),
            };
            for (first, wide) in (0..).step_by(WIDE).zip(products.chunks(WIDE)) {
                if !self.any_passes(first, wide, offset, factor) {
                    continue;
                }
                for (first, products) in (first..).step_by(LANES).zip(wide.as_chunks::<LANES>().0) {
                    let mut which = self.which_pass(first, products, offset, factor);
                    while which != 0 {
                        let lane = which.trailing_zeros() as usize;
                        which &= which - 1;
                        let number = offset + factor * products[lane];
                        self.take(first + lane, number, (start + j) as u32, tile);
                    }
                }
            }
        }
    }

    /// One bit for each of the queries from `first` on for which a reference is not ruled out.
    #[inline(always)]
    fn which_pass(&self, first: usize, products: &[T; LANES], offset: T, factor: T) -> u32 {
        let thresholds = &self.thresholds[first..first + LANES];
        let mut which = 0;
        for lane in 0..LANES {
            which |= u32::from(passes(offset + factor * products[lane], thresholds[lane])) << lane;
        }
        which
    }

    /// Whether a reference is not ruled out for one of the queries from `first` on.
    #[inline(always)]
    fn any_passes(&self, first: usize, products: &[T], offset: T, factor: T) -> bool {
        let thresholds = &self.thresholds[first..first + products.len()];
        let mut any = false;
        for (product, threshold) in products.iter().zip(thresholds) {
            any |= passes(offset + factor * *product, *threshold);
        }
        any
    }

    /// Takes a reference that was not ruled out.
    #[inline(always)]
    fn take(&mut self, q: usize, number: T, r: u32, tile: usize) {
        if self.excluded[q] == Some(r) {
            return;
        }
        if self.candidates[q].push(number + self.errors[q], r) {
            self.thin_out(q, tile);
        }
    }

    #[inline(never)]
    fn thin_out(&mut self, q: usize, tile: usize) {
        let mut candidates = std::mem::replace(&mut self.candidates[q], Candidates::new(1));
        let shift = match self.affinity {
            Affinity::SquaredEuclidean => self.squared_norms[q],
            Affinity::InnerProduct => 0.0,
        };
        let tile_of = |r: u32| (r as usize - self.span.start) / TILE;
        candidates.thin_out(|r| self.error(q, tile_of(r)), |r| self.measure(q, r), shift);
        self.candidates[q] = candidates;
        self.thresholds[q] = self.threshold(q, tile);
    }
}

/// How far a number `‖r‖² − 2q·r` of a matrix product can be off, with `scale` the sum of both squared norms.
pub(crate) fn number_error<T: Real>(dim: usize, scale: f64) -> f64 {
    let dim = dim as f64;
    if scale > T::MAX.to_f64() / 8.0 {
        // A partial sum may have overflowed.
        return f64::INFINITY;
    }
    let unit = T::EPSILON.to_f64() / 2.0;
    // Products may vanish below the smallest normal number.
    3.0 * (dim + 16.0) * unit * scale + 4.0 * dim * T::MIN_POSITIVE.to_f64()
}

/// What is not a number, after an overflow, is never ruled out.
#[inline(always)]
// `<=` would not be the same: it is false for what is not a number.
#[allow(clippy::neg_cmp_op_on_partial_ord)]
fn passes<T: Real>(number: T, threshold: T) -> bool {
    !(number > threshold)
}

/// A call that is compiled for every vector extension: unlike a closure, it is inlined for certain.
struct TakeTile<'f, 'a, T> {
    filter: &'f mut Filter<'a, T>,
    products: &'f [T],
    tile: usize,
}

impl<T: Real> NullaryFnOnce for TakeTile<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.filter.take_tile(self.products, self.tile);
    }
}

/// Measures the rows that are left for each query, in ascending order, tile by tile: a tile is read from memory once
/// for all queries.
struct MeasureRest<'f, 'a, T> {
    filter: &'f Filter<'a, T>,
    best: &'f mut [Best],
    rows: &'f [Vec<u32>],
}

impl<T: Real> NullaryFnOnce for MeasureRest<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let mut done = vec![0; self.rows.len()];
        for tile in 0..self.filter.largest.len() {
            let end = self.filter.span.start + (tile + 1) * TILE;
            for (q, (best, rows)) in self.best.iter_mut().zip(self.rows).enumerate() {
                while let Some(r) = rows.get(done[q]).filter(|r| (**r as usize) < end) {
                    best.push(self.filter.measure(q, *r), *r);
                    done[q] += 1;
                }
            }
        }
    }
}
