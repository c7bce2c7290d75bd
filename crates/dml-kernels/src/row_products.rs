//! Products of rows with rows, and of weights with rows, tile by tile: what is done to a tile is done while it is in
//! cache, and rows that are compared among themselves cost half.

use std::ops::Range;

use rayon::prelude::*;

use crate::in_place::InPlace;
use crate::matrix_product::{Existing, Matrix, MatrixMut, product};
use crate::row_panels::RowPanels;
use crate::symmetric_tiles::symmetric_tiles;
use crate::{Real, zeros};

/// How many references a panel holds: at 128 coordinates it fills an eighth of a usual second-level cache.
const PANEL: usize = 256;
/// How many queries are multiplied with a panel at a time.
const QUERIES: usize = 128;
/// Height and width of a tile of products among rows: ten tiles at 256 rows, and whole registers of every size.
const TILE: usize = 64;
/// How many weights of a row are multiplied at a time in [`weighted_sums`].
const DEPTH: usize = 256;

/// A panel as a matrix `[dim, rows]`.
fn matrix<T: Real>(panels: &RowPanels<T>, panel: usize, dim: usize) -> Matrix<'_, T> {
    let rows = panels.rows(panel).len();
    Matrix::of_rows(panels.panel(panel), dim, rows, panels.width())
}

/// `factor · x·r` for all rows: `[queries, references]`. `finish(i, columns, values)` is called for each piece of a
/// row, once.
pub(crate) fn row_products<T: Real>(
    x: &[T],
    r: &[T],
    dim: usize,
    factor: T,
    finish: impl Fn(usize, Range<usize>, &mut [T]) + Sync,
) -> Vec<T> {
    let (queries, references) = (x.len() / dim, r.len() / dim);
    // Few rows fill no panel, and one register of any size takes a multiple of sixteen.
    let panels = RowPanels::new(r, dim, PANEL.min(references.next_multiple_of(16)));
    let mut out = zeros(queries * references);
    let height = block_height(queries);
    out.par_chunks_mut((height * references).max(1))
        .enumerate()
        .for_each_in_place(|(block, out)| {
            let first = block * height;
            let rows = out.len() / references;
            let x = Matrix::of_rows(&x[first * dim..], rows, dim, dim);
            for panel in 0..panels.count() {
                let columns = panels.rows(panel);
                let tile = &mut out[columns.start..];
                product(
                    MatrixMut::of_rows(tile, rows, columns.len(), references),
                    x,
                    matrix(&panels, panel, dim),
                    factor,
                    Existing::Overwrite,
                );
                for i in 0..rows {
                    let piece = &mut tile[i * references..][..columns.len()];
                    finish(first + i, columns.clone(), piece);
                }
            }
        });
    out
}

/// As [`row_products`] for rows among themselves: symmetric to the last bit, and `finish` is called below the diagonal
/// only, give or take a tile.
pub(crate) fn row_products_among<T: Real>(
    x: &[T],
    dim: usize,
    factor: T,
    finish: impl Fn(usize, Range<usize>, &mut [T]) + Sync,
) -> Vec<T> {
    let rows = x.len() / dim;
    let panels = RowPanels::new(x, dim, TILE);
    symmetric_tiles(rows, TILE, |above, left, tile| {
        let columns = left.len();
        product(
            MatrixMut::of_rows(tile, above.len(), columns, columns),
            Matrix::of_rows(&x[above.start * dim..], above.len(), dim, dim),
            matrix(&panels, left.start / TILE, dim),
            factor,
            Existing::Overwrite,
        );
        for (i, piece) in above.zip(tile.chunks_exact_mut(columns)) {
            finish(i, left.clone(), piece);
        }
    })
}

/// Number of rows of a block: at least four blocks a thread, so that no thread waits long for the last one.
///
/// No block has a single row, which the product would compute in another order: so the bits don't depend on the number of
/// threads.
fn block_height(rows: usize) -> usize {
    let threads = rayon::current_num_threads();
    let mut height = QUERIES.min(rows.div_ceil(4 * threads)).max(16);
    while rows > 1 && rows % height == 1 {
        height += 1;
    }
    height
}

/// `out[i] = Σⱼ wᵢⱼ · others[j]` for rows of `out` and `others`, both `[_, dim]`.
///
/// `weigh(rows, columns, weights, state)` writes the row-major weights of some rows and columns; for one block of rows
/// it is called for its columns in order. `finish(rows, state, out)` is called once for each block, after that.
pub(crate) fn weighted_sums<T: Real, S: Default>(
    rows: usize,
    others: &[T],
    dim: usize,
    weigh: impl Fn(Range<usize>, Range<usize>, &mut [T], &mut S) + Sync,
    finish: impl Fn(Range<usize>, S, &mut [T]) + Sync,
) -> Vec<T> {
    let columns = others.len() / dim;
    let mut out = vec![T::ZERO; rows * dim];
    let height = block_height(rows);
    out.par_chunks_mut(height * dim)
        .enumerate()
        .for_each_init_in_place(
            || vec![T::ZERO; height * DEPTH],
            |weights, (block, out)| {
                let count = out.len() / dim;
                let rows = block * height..block * height + count;
                let mut state = S::default();
                for start in (0..columns).step_by(DEPTH) {
                    let depth = DEPTH.min(columns - start);
                    let weights = &mut weights[..count * depth];
                    weigh(rows.clone(), start..start + depth, weights, &mut state);
                    product(
                        MatrixMut::of_rows(out, count, dim, dim),
                        Matrix::of_rows(weights, count, depth, depth),
                        Matrix::of_rows(&others[start * dim..], depth, dim, dim),
                        T::ONE,
                        Existing::AddTo,
                    );
                }
                finish(rows, state, out);
            },
        );
    out
}
