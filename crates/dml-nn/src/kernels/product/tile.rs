//! The product of a left side with one panel, by tiles that stay in registers.

use dml_core::kernels::SimdReal;
use pulp::{Simd, WithSimd};

use super::TILE_ROWS;
use super::multiply::{Existing, Left};

/// The widest register, in elements.
const LANES: usize = 16;

/// A product with one panel.
pub(super) struct PanelProduct<'a, 'o, T> {
    pub(super) left: Left<'a, T>,
    pub(super) rows: usize,
    pub(super) depth: usize,
    /// `[depth, width]`.
    pub(super) panel: &'a [T],
    /// Columns of the panel that count.
    pub(super) columns: usize,
    pub(super) out: &'o mut [T],
    pub(super) stride: usize,
    pub(super) existing: Existing,
}

impl<T: SimdReal> WithSimd for PanelProduct<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let vectors = self.columns.div_ceil(T::lanes::<S>());
        if S::REGISTER_COUNT >= 32 {
            match vectors {
                1 => simd.vectorize(Tiles::<T, 4, 1>(self)),
                2 => simd.vectorize(Tiles::<T, 4, 2>(self)),
                3 => simd.vectorize(Tiles::<T, 4, 3>(self)),
                _ => simd.vectorize(Tiles::<T, 4, 4>(self)),
            }
        } else {
            match vectors {
                1 => simd.vectorize(Tiles::<T, 2, 1>(self)),
                _ => simd.vectorize(Tiles::<T, 2, 2>(self)),
            }
        }
    }
}

/// The tiles of a panel of W registers, of which V count: a function of its own, so that the optimiser sees one loop.
struct Tiles<'a, 'o, T, const W: usize, const V: usize>(PanelProduct<'a, 'o, T>);

impl<T: SimdReal, const W: usize, const V: usize> WithSimd for Tiles<'_, '_, T, W, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let job = self.0;
        let (panel, _) = T::as_lanes::<S>(job.panel);
        let (steps, _) = panel.as_chunks::<W>();
        let steps = &steps[..job.depth];
        for first in (0..job.rows).step_by(TILE_ROWS) {
            let count = TILE_ROWS.min(job.rows - first);
            let sums = match job.left {
                Left::Rows { data, stride } => {
                    // Rows past the last one repeat it; their sums are not written.
                    let row = |r: usize| &data[(first + r.min(count - 1)) * stride..][..job.depth];
                    rows_tile::<T, S, W, V>(simd, std::array::from_fn(row), steps)
                }
                Left::Steps { data, stride } => {
                    steps_tile::<T, S, W, V>(simd, &data[first..], stride, steps)
                }
                Left::Tiles(data) => {
                    steps_tile::<T, S, W, V>(simd, &data[first * job.depth..], TILE_ROWS, steps)
                }
            };
            let out = &mut job.out[first * job.stride..];
            for r in 0..TILE_ROWS {
                if r < count {
                    let out = &mut out[r * job.stride..][..job.columns];
                    store(simd, &sums[r], out, job.existing);
                }
            }
        }
    }
}

type Sums<T, S, const V: usize> = [[<T as SimdReal>::Lanes<S>; V]; TILE_ROWS];

#[inline(always)]
fn rows_tile<T: SimdReal, S: Simd, const W: usize, const V: usize>(
    simd: S,
    rows: [&[T]; TILE_ROWS],
    steps: &[[T::Lanes<S>; W]],
) -> Sums<T, S, V> {
    let mut sums = [[T::splat(simd, T::ZERO); V]; TILE_ROWS];
    let rows = rows.map(|row| &row[..steps.len()]);
    for (k, step) in steps.iter().enumerate() {
        for r in 0..TILE_ROWS {
            let x = T::splat(simd, rows[r][k]);
            for v in 0..V {
                sums[r][v] = T::mul_add(simd, x, step[v], sums[r][v]);
            }
        }
    }
    sums
}

#[inline(always)]
fn steps_tile<T: SimdReal, S: Simd, const W: usize, const V: usize>(
    simd: S,
    data: &[T],
    stride: usize,
    steps: &[[T::Lanes<S>; W]],
) -> Sums<T, S, V> {
    let mut sums = [[T::splat(simd, T::ZERO); V]; TILE_ROWS];
    let mut start = 0;
    for step in steps {
        let (column, _) = data[start..].split_at(TILE_ROWS);
        for r in 0..TILE_ROWS {
            let x = T::splat(simd, column[r]);
            for v in 0..V {
                sums[r][v] = T::mul_add(simd, x, step[v], sums[r][v]);
            }
        }
        start += stride;
    }
    sums
}

/// Writes the first numbers of a row of sums, as many as `out` holds.
#[inline(always)]
fn store<T: SimdReal, S: Simd, const V: usize>(
    simd: S,
    sums: &[T::Lanes<S>; V],
    out: &mut [T],
    existing: Existing,
) {
    let lanes = T::lanes::<S>();
    for (v, sum) in sums.iter().enumerate() {
        let Some(out) = out.get_mut(v * lanes..) else {
            return;
        };
        if let Some(whole) = T::as_lanes_mut::<S>(out).0.first_mut() {
            *whole = match existing {
                Existing::Overwrite => *sum,
                Existing::AddTo => T::plus(simd, *whole, *sum),
            };
            continue;
        }
        let mut spill = [T::ZERO; LANES];
        if let Some(whole) = T::as_lanes_mut::<S>(&mut spill).0.first_mut() {
            *whole = *sum;
        }
        for (out, sum) in out.iter_mut().zip(spill) {
            match existing {
                Existing::Overwrite => *out = sum,
                Existing::AddTo => *out += sum,
            }
        }
    }
}
