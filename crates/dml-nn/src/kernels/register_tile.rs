//! Tiles of a matrix product whose sums stay in registers.
//!
//! A tile is up to [`ROWS`] rows by a few registers of columns, a *panel*. For every step of the depth it loads the registers of
//! the right factor, broadcasts one number per row of the left factor, and multiplies each by each.

// One index walks several small arrays; a zip of them would hide the formula.
#![allow(clippy::needless_range_loop)]

use pulp::{Simd, WithSimd};

use dml_core::kernels::SimdReal;

/// Most rows of a tile.
pub(crate) const ROWS: usize = 6;

/// Most elements of a register.
pub(crate) const LANES: usize = 16;

/// Most elements of a panel: four registers.
pub(crate) const MAX_WIDTH: usize = 4 * LANES;

/// Registers of a panel: 6 × 4 sums take 24 of 32 registers, 6 × 2 sums 12 of 16.
#[inline(always)]
fn vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// Elements of a panel for an instruction set.
#[inline(always)]
pub(crate) fn width<T: SimdReal, S: Simd>() -> usize {
    vectors::<S>() * T::lanes::<S>()
}

struct Width<T>(std::marker::PhantomData<T>);

impl<T: SimdReal> WithSimd for Width<T> {
    type Output = usize;
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        width::<T, S>()
    }
}

/// Elements of a panel on this processor.
pub(crate) fn detect_width<T: SimdReal>() -> usize {
    pulp::Arch::new().dispatch(Width::<T>(std::marker::PhantomData))
}

/// The left factor of a tile.
pub(crate) trait Left<T: SimdReal>: Copy {
    /// Adds the products of M rows and a panel to `sums`.
    fn add<S: Simd, const M: usize, const V: usize>(
        self,
        simd: S,
        right: &[[T::Lanes<S>; V]],
        sums: &mut [[T::Lanes<S>; V]; M],
    );
}

/// `[depth, rows]`: the rows of a tile side by side.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a, T>(pub(crate) &'a [T]);

impl<T: SimdReal> Left<T> for Packed<'_, T> {
    #[inline(always)]
    fn add<S: Simd, const M: usize, const V: usize>(
        self,
        simd: S,
        right: &[[T::Lanes<S>; V]],
        sums: &mut [[T::Lanes<S>; V]; M],
    ) {
        let (left, _) = self.0.as_chunks::<M>();
        for (left, right) in left.iter().zip(right) {
            for m in 0..M {
                let x = T::splat(simd, left[m]);
                for v in 0..V {
                    sums[m][v] = T::mul_add(simd, x, right[v], sums[m][v]);
                }
            }
        }
    }
}

/// `[rows, depth]`: rows that begin `stride` elements apart.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) stride: usize,
}

impl<T: SimdReal> Left<T> for Strided<'_, T> {
    #[inline(always)]
    fn add<S: Simd, const M: usize, const V: usize>(
        self,
        simd: S,
        right: &[[T::Lanes<S>; V]],
        sums: &mut [[T::Lanes<S>; V]; M],
    ) {
        let depth = right.len();
        let mut rows: [&[T]; M] = [&[]; M];
        for m in 0..M {
            rows[m] = &self.data[m * self.stride..][..depth];
        }
        for (k, right) in right.iter().enumerate() {
            for m in 0..M {
                let x = T::splat(simd, rows[m][k]);
                for v in 0..V {
                    sums[m][v] = T::mul_add(simd, x, right[v], sums[m][v]);
                }
            }
        }
    }
}

/// What becomes of the sums of a tile.
pub(crate) trait Sink<T: SimdReal> {
    /// Takes the sums of a row of the tile.
    fn take<S: Simd, const V: usize>(&mut self, simd: S, row: usize, sums: [T::Lanes<S>; V]);
}

/// One tile: `rows` rows of `left` times the panel `right`, `[depth, width]`.
#[inline(always)]
pub(crate) fn multiply<T: SimdReal, S: Simd, L: Left<T>, K: Sink<T>>(
    simd: S,
    rows: usize,
    left: L,
    right: &[T],
    sink: &mut K,
) {
    if S::REGISTER_COUNT >= 32 {
        by_rows::<T, S, L, K, 4>(simd, rows, left, right, sink);
    } else {
        by_rows::<T, S, L, K, 2>(simd, rows, left, right, sink);
    }
}

#[inline(always)]
fn by_rows<T: SimdReal, S: Simd, L: Left<T>, K: Sink<T>, const V: usize>(
    simd: S,
    rows: usize,
    left: L,
    right: &[T],
    sink: &mut K,
) {
    // Each size is a function of its own, so that the optimiser sees one loop at a time.
    macro_rules! tile {
        ($rows:literal) => {
            simd.vectorize(Tile::<T, L, K, $rows, V> { left, right, sink })
        };
    }
    match rows {
        1 => tile!(1),
        2 => tile!(2),
        3 => tile!(3),
        4 => tile!(4),
        5 => tile!(5),
        _ => tile!(6),
    }
}

struct Tile<'a, T, L, K, const M: usize, const V: usize> {
    left: L,
    right: &'a [T],
    sink: &'a mut K,
}

impl<T: SimdReal, L: Left<T>, K: Sink<T>, const M: usize, const V: usize> WithSimd
    for Tile<'_, T, L, K, M, V>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (right, _) = T::as_lanes::<S>(self.right);
        let (right, _) = right.as_chunks::<V>();
        let mut sums = [[T::splat(simd, T::ZERO); V]; M];
        self.left.add(simd, right, &mut sums);
        for (row, sums) in sums.into_iter().enumerate() {
            self.sink.take(simd, row, sums);
        }
    }
}

/// Writes registers to the beginning of `out`.
#[inline(always)]
pub(crate) fn store<T: SimdReal, S: Simd, const V: usize>(sums: [T::Lanes<S>; V], out: &mut [T]) {
    let (out, _) = T::as_lanes_mut::<S>(out);
    out[..V].copy_from_slice(&sums);
}

/// Adds registers to the beginning of `out`.
#[inline(always)]
pub(crate) fn store_sum<T: SimdReal, S: Simd, const V: usize>(
    simd: S,
    sums: [T::Lanes<S>; V],
    out: &mut [T],
) {
    let (out, _) = T::as_lanes_mut::<S>(out);
    for (out, sum) in out[..V].iter_mut().zip(sums) {
        *out = T::plus(simd, *out, sum);
    }
}

/// Rows of a matrix, packed for tiles: `[panels of ROWS rows][depth][rows of the panel]`.
#[derive(Clone, Debug)]
pub(crate) struct PackedRows<T> {
    data: Vec<T>,
    rows: usize,
    depth: usize,
}

impl<T: SimdReal> PackedRows<T> {
    /// The matrix whose element (row, k) is `get(row, k)`.
    pub(crate) fn new(rows: usize, depth: usize, get: impl Fn(usize, usize) -> T + Sync) -> Self {
        use dml_core::kernels::in_place::InPlace;
        use rayon::prelude::*;
        let mut data = vec![T::ZERO; rows * depth];
        let least = (1 << 14) / (ROWS * depth).max(1);
        data.par_chunks_mut((ROWS * depth).max(1))
            .enumerate()
            .with_min_len(least.max(1))
            .for_each_in_place(|(panel, out)| {
                let first = panel * ROWS;
                let count = ROWS.min(rows - first);
                for (k, out) in out.chunks_exact_mut(count).enumerate() {
                    for (i, out) in out.iter_mut().enumerate() {
                        *out = get(first + i, k);
                    }
                }
            });
        Self { data, rows, depth }
    }

    /// Steps `from..to` of the depth of the tile that begins at a row that is a multiple of [`ROWS`], and its rows.
    #[inline(always)]
    pub(crate) fn tile(&self, row: usize, from: usize, to: usize) -> (usize, Packed<'_, T>) {
        let count = ROWS.min(self.rows - row);
        let data = &self.data[row * self.depth..];
        (count, Packed(&data[from * count..to * count]))
    }
}
