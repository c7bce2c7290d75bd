//! The product of a left side with packed panels, panel by panel.

use std::ops::Range;

use dml_core::kernels::SimdReal;
use pulp::{Arch, Simd, WithSimd};

use super::panels::Panels;
use crate::kernels::register_tile::{self, Packed, ROWS, Sink};

/// The left side of a product, where it lies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Left<'a, T> {
    /// Element (i, k) at `i · stride + k`.
    Rows {
        /// The numbers.
        data: &'a [T],
        /// Distance of two rows.
        stride: usize,
    },
    /// Element (i, k) at `k · stride + i`.
    Steps {
        /// The numbers.
        data: &'a [T],
        /// Distance of two steps.
        stride: usize,
    },
}

impl<T: SimdReal> Left<'_, T> {
    /// Number of elements that the side has to have.
    fn needed(&self, rows: usize, depth: usize) -> usize {
        match self {
            Self::Rows { stride, .. } => (rows - 1) * stride + depth,
            Self::Steps { stride, .. } => (depth - 1) * stride + rows,
        }
    }

    fn data(&self) -> &[T] {
        match self {
            Self::Rows { data, .. } | Self::Steps { data, .. } => data,
        }
    }

    /// The side packed tile by tile: `[depth, ROWS]`, the last one `[depth, rows that are left]`. A product that reads rows
    /// where they lie checks the end of each row in every step, and keeps its sums in memory for it: half of the speed. To
    /// pack them costs as much as a few columns of the product.
    fn tiles(&self, rows: usize, depth: usize) -> Vec<T> {
        let mut tiles = vec![T::ZERO; rows * depth];
        match *self {
            Self::Rows { data, stride } => {
                for (tile, first) in tiles.chunks_mut(ROWS * depth).zip((0..).step_by(ROWS)) {
                    interleave(&data[first * stride..], stride, tile.len() / depth, tile);
                }
            }
            // Step by step, so that each cache line is read once.
            Self::Steps { data, stride } => {
                for k in 0..depth {
                    let (whole, rest) = data[k * stride..][..rows].as_chunks::<ROWS>();
                    for (tile, numbers) in whole.iter().enumerate() {
                        let (place, _) = tiles[(tile * depth + k) * ROWS..].split_at_mut(ROWS);
                        place.copy_from_slice(numbers);
                    }
                    let place = whole.len() * depth * ROWS + k * rest.len();
                    tiles[place..][..rest.len()].copy_from_slice(rest);
                }
            }
        }
        tiles
    }
}

/// Packs `count` rows that begin `stride` elements apart.
fn interleave<T: SimdReal>(rows: &[T], stride: usize, count: usize, tile: &mut [T]) {
    const STEPS: usize = 8;
    let depth = tile.len() / count;
    let mut block = [[T::ZERO; STEPS]; ROWS];
    for (start, out) in (0..depth)
        .step_by(STEPS)
        .zip(tile.chunks_mut(STEPS * count))
    {
        let steps = STEPS.min(depth - start);
        for (r, block) in block.iter_mut().enumerate().take(count) {
            block[..steps].copy_from_slice(&rows[r * stride + start..][..steps]);
        }
        for (k, out) in out.chunks_exact_mut(count).enumerate() {
            for (out, block) in out.iter_mut().zip(&block) {
                *out = block[k];
            }
        }
    }
}

/// What becomes of the numbers that stand in the output already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// They are replaced.
    Overwrite,
    /// The product is added to them.
    AddTo,
}

/// `out = left · right`, the sum over the steps `steps` of the right side; row i of `out` begins at `i · stride`.
///
/// The left side begins at the first of the steps.
///
/// # Panics
/// If a slice is shorter than the shapes say.
pub(crate) fn multiply<T: SimdReal>(
    left: Left<'_, T>,
    rows: usize,
    right: (&Panels, &[T]),
    steps: Range<usize>,
    out: (&mut [T], usize),
    existing: Existing,
) {
    let (panels, packed) = right;
    let (out, stride) = out;
    let depth = steps.len();
    assert!(steps.end <= panels.depth && packed.len() >= panels.len());
    if rows == 0 || panels.columns == 0 {
        return;
    }
    assert!((rows - 1) * stride + panels.columns <= out.len());
    if depth == 0 {
        if existing == Existing::Overwrite {
            for row in out.chunks_mut(stride.max(1)).take(rows) {
                row[..panels.columns].fill(T::ZERO);
            }
        }
        return;
    }
    assert!(
        left.needed(rows, depth) <= left.data().len(),
        "the left side is shorter than its shape"
    );
    let tiles = left.tiles(rows, depth);
    let arch = Arch::new();
    for panel in 0..panels.count() {
        let first = panel * panels.size();
        let columns = panels.range(panel);
        arch.dispatch(PanelProduct {
            tiles: &tiles,
            rows,
            depth,
            panel: &packed[first + steps.start * panels.width..first + steps.end * panels.width],
            out: ToRows {
                out: &mut out[columns.start..],
                stride,
                columns: columns.len(),
                existing,
            },
        });
    }
}

/// A product with one panel.
struct PanelProduct<'a, 'o, T> {
    tiles: &'a [T],
    rows: usize,
    depth: usize,
    /// `[depth, width]`.
    panel: &'a [T],
    out: ToRows<'o, T>,
}

impl<T: SimdReal> WithSimd for PanelProduct<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let tiles = self.tiles[..self.rows * self.depth].chunks(ROWS * self.depth);
        for tile in tiles {
            let rows = tile.len() / self.depth;
            register_tile::multiply(simd, rows, Packed(tile), self.panel, &mut self.out);
            let done = (ROWS * self.out.stride).min(self.out.out.len());
            self.out.out = std::mem::take(&mut self.out.out).split_at_mut(done).1;
        }
    }
}

/// Rows of the output, from those of the tile on.
struct ToRows<'a, T> {
    out: &'a mut [T],
    stride: usize,
    /// Columns of the panel that count.
    columns: usize,
    existing: Existing,
}

impl<T: SimdReal> Sink<T> for ToRows<'_, T> {
    #[inline(always)]
    fn take<S: Simd, const V: usize>(&mut self, simd: S, row: usize, sums: [T::Lanes<S>; V]) {
        let out = &mut self.out[row * self.stride..][..self.columns];
        let (whole, rest) = T::as_lanes_mut::<S>(out);
        let is_added = self.existing == Existing::AddTo;
        for (out, sum) in whole.iter_mut().zip(&sums) {
            *out = if is_added {
                T::plus(simd, *out, *sum)
            } else {
                *sum
            };
        }
        if let Some(sum) = sums.get(whole.len()) {
            let mut spilt = [T::ZERO; register_tile::LANES];
            if let Some(place) = T::as_lanes_mut::<S>(&mut spilt).0.first_mut() {
                *place = *sum;
            }
            for (out, sum) in rest.iter_mut().zip(spilt) {
                *out = if is_added { *out + sum } else { sum };
            }
        }
    }
}
