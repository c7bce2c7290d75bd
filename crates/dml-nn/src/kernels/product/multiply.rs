//! The product of a left side with packed panels, panel by panel.

use std::ops::Range;

use dml_core::kernels::SimdReal;
use pulp::{Arch, Simd, WithSimd};

use super::panels::Panels;
use crate::kernels::register_tile::{self, Packed, ROWS, Sink, Strided};

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
}

/// The steps of a side, `[depth, rows]` with `stride` from step to step, packed tile by tile: `[depth, ROWS]`, the last one
/// `[depth, rows that are left]`.
fn packed_steps<T: SimdReal>(data: &[T], stride: usize, rows: usize, depth: usize) -> Vec<T> {
    let mut tiles = vec![T::ZERO; rows * depth];
    // Step by step, so that each cache line is read once.
    for k in 0..depth {
        let (whole, rest) = data[k * stride..][..rows].as_chunks::<ROWS>();
        for (tile, numbers) in whole.iter().enumerate() {
            let (place, _) = tiles[(tile * depth + k) * ROWS..].split_at_mut(ROWS);
            place.copy_from_slice(numbers);
        }
        let place = whole.len() * depth * ROWS + k * rest.len();
        tiles[place..][..rest.len()].copy_from_slice(rest);
    }
    tiles
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
    let job = Job {
        rows,
        depth,
        panels,
        packed: &packed[steps.start * panels.width..],
        out,
        stride,
        existing,
    };
    let arch = Arch::new();
    match left {
        // Where they lie, rows are read along cache lines: to pack them would take longer.
        Left::Rows { data, stride } => {
            let tile = |first: usize, _| Strided {
                data: &data[first * stride..],
                stride,
            };
            arch.dispatch(Product { job, tile });
        }
        Left::Steps { data, stride } => {
            let tiles = packed_steps(data, stride, rows, depth);
            let tile =
                |first: usize, count: usize| Packed(&tiles[first * depth..][..count * depth]);
            arch.dispatch(Product { job, tile });
        }
    }
}

/// All of a product but its left side.
struct Job<'a, 'o, T> {
    rows: usize,
    depth: usize,
    panels: &'a Panels,
    /// From the first of the steps on.
    packed: &'a [T],
    out: &'o mut [T],
    stride: usize,
    existing: Existing,
}

/// A product, given the left side of the tile that begins at a row and has so many.
struct Product<'a, 'o, T, F> {
    job: Job<'a, 'o, T>,
    tile: F,
}

impl<T: SimdReal, L: register_tile::Left<T>, F: Fn(usize, usize) -> L> WithSimd
    for Product<'_, '_, T, F>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { job, tile } = self;
        let panels = job.panels;
        for number in 0..panels.count() {
            let columns = panels.range(number);
            let panel = &job.packed[number * panels.size()..][..job.depth * panels.width];
            for first in (0..job.rows).step_by(ROWS) {
                let count = ROWS.min(job.rows - first);
                let mut sink = ToRows {
                    out: &mut job.out[first * job.stride + columns.start..],
                    stride: job.stride,
                    columns: columns.len(),
                    existing: job.existing,
                };
                register_tile::multiply(simd, count, tile(first, count), panel, &mut sink);
            }
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
