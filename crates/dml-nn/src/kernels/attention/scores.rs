//! Rows of scores while they are in the cache.

use std::ops::Range;

use dml_core::kernels::SimdReal;
use dml_core::kernels::lanes::by_halves;
use pulp::{Arch, NullaryFnOnce};

use super::Sizes;
use super::mask::Mask;

/// Running results of a row.
const LANES: usize = 16;

/// The place of a tile among queries and keys.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) batch: usize,
    pub(super) head: usize,
    pub(super) queries: Range<usize>,
    pub(super) keys: Range<usize>,
}

impl Place {
    /// Number of the first probability of a query in the tile, counted through all probabilities.
    fn word(&self, sizes: &Sizes, query: usize) -> u128 {
        let row = (self.batch * sizes.heads + self.head) * sizes.queries + query;
        row as u128 * sizes.keys as u128 + self.keys.start as u128
    }
}

/// A tile of products of queries and keys on its way to probabilities, row i at `i · stride`.
pub(super) struct Tile<'a, 'm, T> {
    pub(super) sizes: Sizes,
    pub(super) mask: &'m Mask<'m, T>,
    /// [`Mask::of_keys`], empty if queries see all keys.
    pub(super) of_keys: &'m [T],
    pub(super) place: &'m Place,
    pub(super) scores: &'a mut [T],
    pub(super) stride: usize,
}

impl<T: SimdReal> Tile<'_, '_, T> {
    /// The scores of a query: the products scaled, with the masks added.
    #[inline(always)]
    fn row(&mut self, i: usize) -> &mut [T] {
        let place = self.place;
        let row = &mut self.scores[i * self.stride..][..place.keys.len()];
        let scale = self.mask.scale;
        for x in row.iter_mut() {
            *x = *x * scale;
        }
        if !self.of_keys.is_empty() {
            for (x, mask) in row.iter_mut().zip(&self.of_keys[place.keys.clone()]) {
                *x += *mask;
            }
        }
        let query = place.queries.start + i;
        if let Some((numbers, [batch, head, step])) = self.mask.added {
            let start = place.batch * batch + place.head * head + query * step;
            for (x, mask) in row.iter_mut().zip(&numbers[start + place.keys.start..]) {
                *x += *mask;
            }
        }
        if self.mask.causal {
            let seen = (query + 1).saturating_sub(place.keys.start).min(row.len());
            row[seen..].fill(T::from_f64(f64::NEG_INFINITY));
        }
        row
    }
}

/// Running maximum and sum of a query, and the weighted sum of the values that it has seen.
pub(super) struct Running<'a, T> {
    pub(super) maximum: &'a mut [T],
    pub(super) sum: &'a mut [f64],
    pub(super) output: &'a mut [T],
    pub(super) value_width: usize,
}

/// Makes scores to exponentials relative to the running maximum, and rescales what was summed relative to an earlier one.
pub(super) fn exponentials<T: SimdReal>(tile: Tile<'_, '_, T>, running: Running<'_, T>) {
    Arch::new().dispatch(Exponentials { tile, running });
}

struct Exponentials<'a, 'm, T> {
    tile: Tile<'a, 'm, T>,
    running: Running<'a, T>,
}

impl<T: SimdReal> NullaryFnOnce for Exponentials<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { mut tile, running } = self;
        let dropped = tile.mask.dropped;
        let mut factors = Vec::new();
        for i in 0..tile.place.queries.len() {
            let word = tile.place.word(&tile.sizes, tile.place.queries.start + i);
            let row = tile.row(i);
            let before = running.maximum[i];
            let maximum = larger(before, maximum(row));
            let shift = finite_shift(maximum);
            let sum = shifted_exponentials(row, shift);
            let factor = (before - shift).quick_exp();
            running.maximum[i] = maximum;
            running.sum[i] = running.sum[i] * factor.to_f64() + sum.to_f64();
            if factor < T::ONE && before > T::from_f64(f64::NEG_INFINITY) {
                for x in &mut running.output[i * running.value_width..][..running.value_width] {
                    *x = *x * factor;
                }
            }
            if let Some(dropped) = dropped {
                factors.resize(row.len(), T::ZERO);
                dropped.fill(word, &mut factors);
                row.iter_mut().zip(&factors).for_each(|(x, f)| *x = *x * *f);
            }
        }
    }
}

/// The maximum, or 0 where no key is seen: then every exponential is 0, and not NaN.
#[inline(always)]
pub(super) fn finite_shift<T: SimdReal>(maximum: T) -> T {
    if maximum == T::from_f64(f64::NEG_INFINITY) {
        T::ZERO
    } else {
        maximum
    }
}

#[inline(always)]
fn larger<T: SimdReal>(a: T, b: T) -> T {
    if a > b { a } else { b }
}

/// The largest number that is not NaN. NaN reaches the sum of the exponentials.
#[inline(always)]
fn maximum<T: SimdReal>(row: &[T]) -> T {
    let mut lanes = [T::from_f64(f64::NEG_INFINITY); LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    let whole = by_halves(lanes, larger);
    rest.iter()
        .fold(whole, |maximum, x| if *x > maximum { *x } else { maximum })
}

/// `exp(x − shift)` in place, and the sum of them.
#[inline(always)]
fn shifted_exponentials<T: SimdReal>(row: &mut [T], shift: T) -> T {
    let mut lanes = [T::ZERO; LANES];
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *x = (*x - shift).quick_exp();
            *lane += *x;
        }
    }
    let mut sum = by_halves(lanes, |a, b| a + b);
    for x in rest {
        *x = (*x - shift).quick_exp();
        sum += *x;
    }
    sum
}

/// Numbers of the queries of a block that the forward pass kept, and Dᵢ.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a, T> {
    pub(super) maximum: &'a [T],
    /// 1 / l, or 0.
    pub(super) inverse: &'a [T],
    pub(super) dot: &'a [T],
}

/// Makes scores to `M ∘ P`, and the products of output gradients and values beside them to `scale · ∂S`.
pub(super) fn gradients<T: SimdReal>(tile: Tile<'_, '_, T>, kept: Kept<'_, T>, products: &mut [T]) {
    Arch::new().dispatch(Gradients {
        tile,
        kept,
        products,
    });
}

struct Gradients<'a, 'm, 'k, T> {
    tile: Tile<'a, 'm, T>,
    kept: Kept<'k, T>,
    products: &'k mut [T],
}

impl<T: SimdReal> NullaryFnOnce for Gradients<'_, '_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            mut tile,
            kept,
            products,
        } = self;
        let (scale, stride, dropped) = (tile.mask.scale, tile.stride, tile.mask.dropped);
        let mut factors = Vec::new();
        for i in 0..tile.place.queries.len() {
            let word = tile.place.word(&tile.sizes, tile.place.queries.start + i);
            let row = tile.row(i);
            let products = &mut products[i * stride..][..row.len()];
            let (maximum, inverse, dot) = (kept.maximum[i], kept.inverse[i], kept.dot[i]);
            if let Some(dropped) = dropped {
                factors.resize(row.len(), T::ZERO);
                dropped.fill(word, &mut factors);
                for ((x, y), factor) in row.iter_mut().zip(products).zip(&factors) {
                    let p = (*x - maximum).quick_exp() * inverse;
                    *y = p * (*factor * *y - dot) * scale;
                    *x = p * *factor;
                }
                continue;
            }
            for (x, y) in row.iter_mut().zip(products) {
                let p = (*x - maximum).quick_exp() * inverse;
                *y = p * (*y - dot) * scale;
                *x = p;
            }
        }
    }
}
