//! Numbers of a tile of references by a matrix product in the precision of the rows.

use dml_core::kernels::matrix_product::{Existing, Matrix, MatrixMut, product};
use dml_core::kernels::{Real, vectorized};

use super::block::{Block, Found, Tile};
use super::{Affinity, number_error};

/// Queries whose numbers are compared with their thresholds at once, where hardly any passes.
const WIDE: usize = 64;
/// Queries whose numbers are compared with their thresholds at once, where some do.
const LANES: usize = 16;

/// A block of queries as a factor of a matrix product.
#[derive(Debug)]
pub(super) struct ProductTiles<T> {
    /// The [columns](Block::columns) of the queries; the last vector may have lanes without a query.
    columns: Vec<T>,
    /// `[references, lanes]`, of the present tile.
    products: Vec<T>,
    /// `number > thresholds[q]` rules a reference of the present tile out for query `q`.
    thresholds: Vec<T>,
    /// How far the numbers of the present tile can be off.
    errors: Vec<T>,
}

impl<T: Real> ProductTiles<T> {
    pub(super) fn new(block: &Block<'_, T>) -> Self {
        let count = block.excluded.len();
        let lanes = count.next_multiple_of(LANES);
        Self {
            columns: block.columns(lanes),
            products: Vec::new(),
            // Nothing is below minus infinity: the zeros never pass.
            thresholds: vec![T::from_f64(f64::NEG_INFINITY); lanes],
            errors: vec![T::ZERO; count],
        }
    }

    /// Takes those references of the tile that cannot be ruled out.
    pub(super) fn search(&mut self, tile: Tile, found: &mut Found<'_, '_, T>) {
        let block = found.block;
        let (dim, lanes) = (block.references.dim, self.thresholds.len());
        let rows = &block.references.rows[tile.first * dim..(tile.row(tile.count - 1) + 1) * dim];
        self.products.resize(tile.count * lanes, T::ZERO);
        product(
            MatrixMut::of_rows(&mut self.products, tile.count, lanes, lanes),
            Matrix::of_rows(rows, tile.count, dim, dim * tile.step),
            Matrix::of_rows(&self.columns, dim, lanes, lanes),
            T::ONE,
            Existing::Overwrite,
        );
        let norms = (0..tile.count).map(|i| block.references.squared_norms[tile.row(i)]);
        let largest = norms.fold(0.0, |most, norm| norm.to_f64().max(most));
        for (q, norm) in block.squared_norms.iter().enumerate() {
            let error = number_error::<T>(dim, norm + largest);
            self.errors[q] = T::from_f64(error);
            self.thresholds[q] = T::from_f64(found.bound(q) + error);
        }
        vectorized(
            #[inline(always)]
            || self.take_tile(tile, found),
        );
    }

    #[inline(always)]
    fn take_tile(&mut self, tile: Tile, found: &mut Found<'_, '_, T>) {
        let block = found.block;
        let lanes = self.thresholds.len();
        for i in 0..tile.count {
            let r = tile.row(i);
            let (offset, factor) = match block.affinity {
                Affinity::SquaredEuclidean => {
                    (block.references.squared_norms[r], T::from_f64(-2.0))
                }
                Affinity::InnerProduct => (T::ZERO, -T::ONE),
            };
            for first in (0..lanes).step_by(WIDE) {
                let end = (first + WIDE).min(lanes);
                if !self.any_passes(i, first..end, offset, factor) {
                    continue;
                }
                for first in (first..end).step_by(LANES) {
                    let mut which = self.which_pass(i, first, offset, factor);
                    while which != 0 {
                        let q = first + which.trailing_zeros() as usize;
                        which &= which - 1;
                        let number = offset + factor * self.products[i * lanes + q];
                        let error = self.errors[q];
                        if found.take(q, r as u32, number - error, number + error) {
                            self.thresholds[q] = T::from_f64(found.bound(q) + error.to_f64());
                        }
                    }
                }
            }
        }
    }

    /// Whether reference `i` of the tile is not ruled out for one of the queries.
    #[inline(always)]
    fn any_passes(&self, i: usize, queries: std::ops::Range<usize>, offset: T, factor: T) -> bool {
        let products = &self.products[i * self.thresholds.len()..][queries.clone()];
        let mut any = false;
        for (product, threshold) in products.iter().zip(&self.thresholds[queries]) {
            any |= passes(offset + factor * *product, *threshold);
        }
        any
    }

    /// One bit for each of the queries from `first` on for which reference `i` of the tile is not ruled out.
    #[inline(always)]
    fn which_pass(&self, i: usize, first: usize, offset: T, factor: T) -> u32 {
        let products = &self.products[i * self.thresholds.len() + first..][..LANES];
        let thresholds = &self.thresholds[first..][..LANES];
        let mut which = 0;
        for lane in 0..LANES {
            which |= u32::from(passes(offset + factor * products[lane], thresholds[lane])) << lane;
        }
        which
    }
}

/// What is not a number, after an overflow, is never ruled out.
#[inline(always)]
// `<=` would not be the same: it is false for what is not a number.
#[allow(clippy::neg_cmp_op_on_partial_ord)]
fn passes<T: Real>(number: T, threshold: T) -> bool {
    !(number > threshold)
}
