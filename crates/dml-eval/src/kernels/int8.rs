//! Codes of one byte a coordinate: real numbers as whole multiples of a step of their row.
//!
//! ```text
//! step(x) = maxₖ |xₖ| / 127,   code(x)ₖ = xₖ / step(x), rounded,   x·y ≈ step(x) step(y) Σₖ code(x)ₖ code(y)ₖ
//! ```
//!
//! A coordinate is off by half a step at most. A row of zeros has step 0 and codes 0.

use rayon::prelude::*;

use dml_core::kernels::in_place::InPlace;
use dml_core::kernels::lengths;
use dml_core::kernels::{Real, vectorized};

/// Queries of a block, and rows of a tile: both stay in the first-level cache.
const QUERIES: usize = 8;
const TILE: usize = 128;
/// Coordinates whose products fit in 32 bits together.
const LONGEST: usize = 1 << 16;

/// Codes of rows, and their steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Int8Rows {
    /// `[rows, dim]`.
    pub(crate) codes: Vec<i8>,
    /// One a row.
    pub(crate) steps: Vec<f32>,
}

/// The codes of the rows of `x` `[rows, dim]`, which are finite numbers.
///
/// # Panics
/// If a length does not fit the shapes.
pub(crate) fn quantize<T: Real>(x: &[T], dim: usize) -> Int8Rows {
    lengths::rows("x", x.len(), dim);
    let rows: Vec<(Vec<i8>, f32)> = x
        .par_chunks_exact(dim.max(1))
        .with_min_len(64)
        .map_in_place(|row| {
            let largest = row
                .iter()
                .fold(0.0, |most: f64, x| most.max(x.to_f64().abs()));
            let step = largest / 127.0;
            let code = |x: &T| {
                if step > 0.0 {
                    (x.to_f64() / step).round() as i8
                } else {
                    0
                }
            };
            (row.iter().map(code).collect(), step as f32)
        });
    let mut all = Int8Rows::default();
    for (codes, step) in rows {
        all.codes.extend(codes);
        all.steps.push(step);
    }
    all
}

/// The inner products of the codes of `x` `[queries, dim]` and `r` `[references, dim]`: `[queries, references]`, exact up to
/// 2²⁴.
///
/// # Panics
/// If a length does not fit the shapes.
pub(crate) fn products(x: &[i8], r: &[i8], dim: usize) -> Vec<f32> {
    lengths::rows("x", x.len(), dim);
    lengths::rows("r", r.len(), dim);
    if dim == 0 || x.is_empty() || r.is_empty() {
        return Vec::new();
    }
    let (queries, references) = (x.len() / dim, r.len() / dim);
    let mut out = vec![0.0; queries * references];
    let block = queries
        .div_ceil(2 * rayon::current_num_threads())
        .min(QUERIES);
    out.par_chunks_mut(block * references)
        .zip(x.par_chunks(block * dim))
        .for_each_in_place(|(out, x)| {
            vectorized(
                #[inline(always)]
                || products_of_block(x, r, dim, out),
            );
        });
    out
}

#[inline(always)]
fn products_of_block(x: &[i8], r: &[i8], dim: usize, out: &mut [f32]) {
    let references = r.len() / dim;
    for (start, tile) in (0..).step_by(TILE).zip(r.chunks(TILE * dim)) {
        for (query, out) in x.chunks_exact(dim).zip(out.chunks_exact_mut(references)) {
            for (row, out) in tile.chunks_exact(dim).zip(&mut out[start..]) {
                *out = product(query, row);
            }
        }
    }
}

#[inline(always)]
fn product(a: &[i8], b: &[i8]) -> f32 {
    let mut sum = 0i64;
    for (a, b) in a.chunks(LONGEST).zip(b.chunks(LONGEST)) {
        let terms = a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b));
        sum += i64::from(terms.sum::<i32>());
    }
    sum as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_every_pair() {
        for (queries, references, dim) in [(1, 1, 1), (3, 300, 17), (70, 129, 64)] {
            let code = |i: usize| ((i * 7919 % 255) as i32 - 127) as i8;
            let x: Vec<i8> = (0..queries * dim).map(code).collect();
            let r: Vec<i8> = (0..references * dim).map(|i| code(i + 5)).collect();
            let got = products(&x, &r, dim);
            for q in 0..queries {
                for i in 0..references {
                    let want: i32 = (0..dim)
                        .map(|k| i32::from(x[q * dim + k]) * i32::from(r[i * dim + k]))
                        .sum();
                    assert_eq!(got[q * references + i], want as f32);
                }
            }
        }
        assert!(products(&[], &[1], 1).is_empty());
    }

    #[test]
    fn codes_are_multiples_of_the_rows_step() {
        let rows = quantize(&[1f32, -0.5, 0.0, 0.0], 2);
        assert_eq!(rows.codes, [127, -64, 0, 0]);
        assert_eq!(rows.steps, [1. / 127., 0.]);
    }

    #[test]
    fn long_rows_do_not_overflow() {
        let dim = 3 * LONGEST + 1;
        let got = products(&vec![127; dim], &vec![-127; dim], dim);
        assert_eq!(got, [-(127.0 * 127.0 * dim as f32)]);
    }

    #[test]
    fn a_coordinate_is_off_by_half_a_step_at_most() {
        let x: Vec<f64> = (0..60).map(|i| f64::from(i * i % 37) - 11.3).collect();
        let rows = quantize(&x, 6);
        for (i, (x, code)) in x.iter().zip(&rows.codes).enumerate() {
            let step = f64::from(rows.steps[i / 6]);
            assert!((x - step * f64::from(*code)).abs() <= 0.5001 * step);
        }
    }
}
