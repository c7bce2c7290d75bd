//! Codes of bits: packing real numbers by their sign, and counting in how many bits codes differ.
//!
//! ```text
//! code(x): bit k is 1 where xₖ > 0,   d(a, b) = number of 1s in a xor b
//! ```
//!
//! A code of `n` bits takes `⌈n / 8⌉` bytes; bit k is bit `k mod 8` of byte `⌊k / 8⌋`, and what fills up the last byte
//! is 0.

use rayon::prelude::*;

use crate::in_place::InPlace;
use crate::lengths;
use crate::{Real, vectorized, zeros};

/// How many codes are compared at once: their counts stay in vector registers.
const LANES: usize = 32;

/// The codes of the rows of `x` `[rows, dim]`, `⌈dim / 8⌉` bytes each.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn pack_signs<T: Real>(x: &[T], dim: usize) -> Vec<u8> {
    let rows = lengths::rows("x", x.len(), dim);
    let width = dim.div_ceil(8);
    let mut codes = vec![0; rows * width];
    codes
        .par_chunks_mut(width.max(1))
        .zip(x.par_chunks(dim.max(1)))
        .with_min_len(64)
        .for_each_in_place(|(code, row)| {
            for (byte, values) in code.iter_mut().zip(row.chunks(8)) {
                for (bit, value) in values.iter().enumerate() {
                    *byte |= u8::from(*value > T::ZERO) << bit;
                }
            }
        });
    codes
}

/// In how many bits the codes of `x` `[queries, width]` and `r` `[references, width]` differ: `[queries, references]`,
/// exact up to 2²⁴.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn hamming(x: &[u8], r: &[u8], width: usize) -> Vec<f32> {
    lengths::rows("x", x.len(), width);
    lengths::rows("r", r.len(), width);
    if width == 0 || x.is_empty() || r.is_empty() {
        return Vec::new();
    }
    let references = r.len() / width;
    let (x, r) = (words(x, width), words(r, width));
    let depth = width.div_ceil(8);
    let panels = panels(&r, depth);
    let mut out = zeros(x.len() / depth * references);
    out.par_chunks_mut(references)
        .zip(x.par_chunks(depth))
        .for_each_in_place(|(out, code)| {
            vectorized!(compare(code, &panels, out));
        });
    out
}

/// In how many bits code i of `x` and code i of `r` differ.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn hamming_of_pairs(x: &[u8], r: &[u8], width: usize) -> Vec<f32> {
    lengths::rows("x", x.len(), width);
    lengths::length("r", r.len(), x.len());
    let pairs = x
        .chunks_exact(width.max(1))
        .zip(r.chunks_exact(width.max(1)));
    pairs
        .map(|(a, b)| {
            a.iter()
                .zip(b)
                .map(|(a, b)| (a ^ b).count_ones())
                .sum::<u32>() as f32
        })
        .collect()
}

/// Codes in whole words, filled up with 0.
fn words(codes: &[u8], width: usize) -> Vec<u64> {
    let of_code = |code: &[u8]| -> Vec<u64> {
        let word = |bytes: &[u8]| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(word)
        };
        code.chunks(8).map(word).collect()
    };
    codes.chunks_exact(width).flat_map(of_code).collect()
}

/// Codes in panels of [`LANES`] with words outermost, so that one word of a panel is contiguous.
fn panels(words: &[u64], depth: usize) -> Vec<u64> {
    let count = words.len() / depth;
    let mut panels = vec![0; count.div_ceil(LANES) * LANES * depth];
    for (i, code) in words.chunks_exact(depth).enumerate() {
        let panel = &mut panels[i / LANES * LANES * depth..][..LANES * depth];
        for (k, word) in code.iter().enumerate() {
            panel[k * LANES + i % LANES] = *word;
        }
    }
    panels
}

/// One code with all others.
#[inline(always)]
fn compare(code: &[u64], panels: &[u64], out: &mut [f32]) {
    let panels = panels.chunks_exact(LANES * code.len());
    for (out, panel) in out.chunks_mut(LANES).zip(panels) {
        let mut counts = [0u64; LANES];
        for (word, others) in code.iter().zip(panel.chunks_exact(LANES)) {
            for (count, other) in counts.iter_mut().zip(others) {
                *count += u64::from((word ^ other).count_ones());
            }
        }
        for (out, count) in out.iter_mut().zip(counts) {
            *out = count as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_packed_from_the_lowest_bit() {
        let x = [1f32, -1., 0., 2., -0., 3., -4., 5., 6., -7.];
        assert_eq!(pack_signs(&x, 10), [0b1010_1001, 0b1]);
        assert_eq!(pack_signs(&x, 5), [0b0_1001, 0b0_1101]);
        assert!(pack_signs::<f64>(&[], 0).is_empty());
    }

    #[test]
    fn differing_bits_are_counted() {
        assert_eq!(
            hamming(&[0b1100], &[0b1010, 0b1100, 0b0011], 1),
            [2., 0., 4.]
        );
        assert_eq!(
            hamming_of_pairs(&[0xFF, 0, 1, 1], &[0, 0, 1, 3], 2),
            [8., 1.]
        );
        assert!(hamming(&[], &[1], 1).is_empty());
    }

    #[test]
    fn every_width_and_number_agrees_with_the_definition() {
        for (queries, references, width) in [(1, 1, 1), (3, 33, 7), (5, 32, 8), (4, 70, 19)] {
            let draw = |seed: usize, n: usize| -> Vec<u8> {
                (0..n).map(|i| (i * i * 31 + i * seed) as u8).collect()
            };
            let (x, r) = (draw(5, queries * width), draw(11, references * width));
            let all = hamming(&x, &r, width);
            for (i, a) in x.chunks(width).enumerate() {
                for (j, b) in r.chunks(width).enumerate() {
                    let expected: u32 = a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum();
                    assert_eq!(all[i * references + j], expected as f32);
                }
            }
        }
    }
}
