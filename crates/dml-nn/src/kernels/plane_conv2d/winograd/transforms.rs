//! The linear maps from pixels to transformed tiles and back, for registers of neighbouring tiles.

// One index walks several small arrays; a zip of them would hide the formula.
#![allow(clippy::needless_range_loop)]

use pulp::{Simd, WithSimd};

use dml_core::kernels::SimdReal;

use crate::kernels::winograd::{inputs, outputs};

/// Where transformed tiles of one channel go: element `place · places + panel · panels + lane`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) places: usize,
    pub(super) panels: usize,
    /// Tiles of a panel.
    pub(super) width: usize,
}

/// N × N pixels of each tile as 4 × 4 numbers, for rows of tiles: Bᵀ d B of 4 × 4 pixels of the input, or A ∂Y Aᵀ of 2 × 2
/// pixels of the gradient. `rows` is `[rows of pixels][N][lanes]`, two rows of pixels per row of tiles, and two more for the
/// input.
pub(super) struct Spread<'a, T, const N: usize> {
    pub(super) rows: &'a [T],
    pub(super) lanes: usize,
    /// Rows of tiles.
    pub(super) count: usize,
    pub(super) layout: Layout,
    pub(super) out: &'a mut [T],
}

impl<T: SimdReal, const N: usize> WithSimd for Spread<'_, T, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = T::lanes::<S>();
        let zero = T::splat(simd, T::ZERO);
        for row in 0..self.count {
            let rows = &self.rows[2 * row * N * self.lanes..][..N * N * self.lanes];
            for first in (0..self.lanes).step_by(lanes) {
                let mut columns = [[zero; 4]; N];
                for j in 0..N {
                    let mut pixels = [zero; N];
                    for i in 0..N {
                        pixels[i] = load::<T, S>(&rows[(N * i + j) * self.lanes + first..]);
                    }
                    columns[j] = spread::<T, S, N>(simd, pixels);
                }
                let at = self.layout.at(row * self.lanes + first);
                for i in 0..4 {
                    let mut line = [zero; N];
                    for j in 0..N {
                        line[j] = columns[j][i];
                    }
                    let line = spread::<T, S, N>(simd, line);
                    for j in 0..4 {
                        let at = (4 * i + j) * self.layout.places + at;
                        store::<T, S>(line[j], &mut self.out[at..]);
                    }
                }
            }
        }
    }
}

/// Bᵀ d of four pixels, A y of two.
#[inline(always)]
fn spread<T: SimdReal, S: Simd, const N: usize>(simd: S, x: [T::Lanes<S>; N]) -> [T::Lanes<S>; 4] {
    if N == 4 {
        inputs::<T, S>(simd, [x[0], x[1], x[2], x[3]])
    } else {
        gradients::<T, S>(simd, [x[0], x[1]])
    }
}

/// Aᵀ M A of one row of tiles, plus a bias: `out` is `[2][2][lanes]`, row and column of the pixel within its tile.
pub(super) struct Outputs<'a, T> {
    /// Begins at the first tile; places lie `places` elements apart.
    pub(super) products: &'a [T],
    pub(super) places: usize,
    pub(super) lanes: usize,
    pub(super) bias: T,
    pub(super) out: &'a mut [T],
}

impl<T: SimdReal> WithSimd for Outputs<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let bias = T::splat(simd, self.bias);
        let zero = T::splat(simd, T::ZERO);
        for first in (0..self.lanes).step_by(T::lanes::<S>()) {
            let mut columns = [[zero; 2]; 4];
            for j in 0..4 {
                let mut m = [zero; 4];
                for i in 0..4 {
                    m[i] = load::<T, S>(&self.products[(4 * i + j) * self.places + first..]);
                }
                columns[j] = outputs::<T, S>(simd, m);
            }
            for i in 0..2 {
                let line = [columns[0][i], columns[1][i], columns[2][i], columns[3][i]];
                let line = outputs::<T, S>(simd, line);
                for j in 0..2 {
                    let value = T::plus(simd, line[j], bias);
                    store::<T, S>(value, &mut self.out[(2 * i + j) * self.lanes + first..]);
                }
            }
        }
    }
}

impl Layout {
    /// Where a tile lies.
    #[inline(always)]
    fn at(&self, tile: usize) -> usize {
        tile / self.width * self.panels + tile % self.width
    }
}

#[inline(always)]
fn load<T: SimdReal, S: Simd>(from: &[T]) -> T::Lanes<S> {
    T::as_lanes::<S>(&from[..T::lanes::<S>()]).0[0]
}

#[inline(always)]
fn store<T: SimdReal, S: Simd>(value: T::Lanes<S>, out: &mut [T]) {
    T::as_lanes_mut::<S>(&mut out[..T::lanes::<S>()]).0[0] = value;
}

/// A y.
#[inline(always)]
fn gradients<T: SimdReal, S: Simd>(simd: S, y: [T::Lanes<S>; 2]) -> [T::Lanes<S>; 4] {
    [
        y[0],
        T::plus(simd, y[0], y[1]),
        T::minus(simd, y[0], y[1]),
        T::minus(simd, T::splat(simd, T::ZERO), y[1]),
    ]
}

/// G g Gᵀ.
pub(super) fn weights<T: SimdReal>(g: [[T; 3]; 3]) -> [T; 16] {
    let half = T::from_f64(0.5);
    let spread = |a: T, b: T, c: T| [a, (a + b + c) * half, (a - b + c) * half, c];
    let columns: [[T; 4]; 3] = std::array::from_fn(|j| spread(g[0][j], g[1][j], g[2][j]));
    let mut out = [T::ZERO; 16];
    for i in 0..4 {
        let line = spread(columns[0][i], columns[1][i], columns[2][i]);
        out[4 * i..][..4].copy_from_slice(&line);
    }
    out
}

/// Gᵀ u G.
pub(super) fn weight_gradients<T: SimdReal>(u: [T; 16]) -> [T; 9] {
    let half = T::from_f64(0.5);
    let gather = |a: T, b: T, c: T, d: T| {
        let (sum, difference) = ((b + c) * half, (b - c) * half);
        [a + sum, difference, sum + d]
    };
    let columns: [[T; 3]; 4] = std::array::from_fn(|j| gather(u[j], u[4 + j], u[8 + j], u[12 + j]));
    let mut out = [T::ZERO; 9];
    for i in 0..3 {
        let line = gather(columns[0][i], columns[1][i], columns[2][i], columns[3][i]);
        out[3 * i..][..3].copy_from_slice(&line);
    }
    out
}
