//! Gradients through a max pooling, without the zeros.
//!
//! Of all pixels of a pooling window one alone has a gradient, and which it is differs from channel to channel. So
//! instead of products of matrices that are three quarters zero, each output channel goes through the list of its
//! own pixels: per entry, one window of the input is added to the gradient of the channel's weights, and the
//! channel's weights are added to one window of the input's gradient.

// One index walks several small arrays; a zip of them would hide the formula.
#![allow(clippy::needless_range_loop)]

use pulp::{Simd, WithSimd};

use super::windows::Segment;
use dml_core::kernels::SimdReal;

/// A pixel of the output that has a gradient.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry<T> {
    /// Where its window begins.
    pub(super) source: u32,
    pub(super) gradient: T,
}

/// Whether windows of these segments can be taken register by register.
pub(super) fn fits(segments: &[Segment], lanes: usize) -> bool {
    lanes > 1 && segments.iter().all(|segment| segment.len % lanes == 0)
}

/// Runs the kernel for the size of a piece.
macro_rules! of_size {
    ($simd:ident, $piece:ident, $Kernel:ident $fields:tt) => {
        of_size!(@ $simd, $piece, $Kernel $fields, (3, 6) (3, 3) (1, 12) (1, 6) (1, 3))
    };
    (@ $simd:ident, $piece:ident, $Kernel:ident $fields:tt, $(($count:literal, $vectors:literal))+) => {
        match ($piece.count, $piece.vectors) {
            $(($count, $vectors) => $simd.vectorize($Kernel::<T, $count, $vectors> $fields),)+
            _ => $simd.vectorize($Kernel::<T, 1, 1> $fields),
        }
    };
}

/// `sums[row] += Σ_entries image[source + offset(row)] · gradient`.
#[inline(always)]
pub(super) fn add_windows<T: SimdReal, S: Simd>(
    simd: S,
    image: &[T],
    entries: &[Entry<T>],
    segments: &[Segment],
    sums: &mut [T],
) {
    for_pieces(segments, T::lanes::<S>(), S::REGISTER_COUNT, |piece| {
        let Piece { row, offsets, .. } = piece;
        let sums = &mut sums[row..];
        of_size!(
            simd,
            piece,
            AddWindows {
                image,
                entries,
                offsets,
                sums
            }
        );
    });
}

/// `image[source + offset(row)] += weights[row] · gradient`, for every entry.
#[inline(always)]
pub(super) fn scatter_weights<T: SimdReal, S: Simd>(
    simd: S,
    weights: &[T],
    entries: &[Entry<T>],
    segments: &[Segment],
    image: &mut [T],
) {
    for_pieces(segments, T::lanes::<S>(), S::REGISTER_COUNT, |piece| {
        let Piece { row, offsets, .. } = piece;
        let (weights, image) = (&weights[row..], &mut *image);
        of_size!(
            simd,
            piece,
            Scatter {
                weights,
                entries,
                offsets,
                image
            }
        );
    });
}

/// A piece of a window that is kept in registers at once: `count` segments of `vectors` registers each.
struct Piece {
    /// The first row of the weights.
    row: usize,
    /// Where each segment begins in the window.
    offsets: [usize; 3],
    count: usize,
    vectors: usize,
}

/// Cuts a window into the largest pieces that there are kernels for.
#[inline(always)]
fn for_pieces(segments: &[Segment], lanes: usize, registers: usize, mut f: impl FnMut(Piece)) {
    if let [a, b, c] = segments
        && a.len == b.len
        && a.len == c.len
        && (a.len == 3 * lanes || a.len == 6 * lanes && registers >= 32)
    {
        f(Piece {
            row: 0,
            offsets: [a.offset, b.offset, c.offset],
            count: 3,
            vectors: a.len / lanes,
        });
        return;
    }
    let mut row = 0;
    for segment in segments {
        let end = row + segment.len;
        let mut offset = segment.offset;
        while row < end {
            let left = (end - row) / lanes;
            let vectors = [12, 6, 3].into_iter().find(|v| *v <= left).unwrap_or(1);
            f(Piece {
                row,
                offsets: [offset; 3],
                count: 1,
                vectors,
            });
            row += vectors * lanes;
            offset += vectors * lanes;
        }
    }
}

struct AddWindows<'a, T, const C: usize, const B: usize> {
    image: &'a [T],
    entries: &'a [Entry<T>],
    offsets: [usize; 3],
    sums: &'a mut [T],
}

impl<T: SimdReal, const C: usize, const B: usize> WithSimd for AddWindows<'_, T, C, B> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (sums, _) = T::as_lanes_mut::<S>(self.sums);
        let mut running = [[T::splat(simd, T::ZERO); B]; C];
        for c in 0..C {
            for b in 0..B {
                running[c][b] = sums[c * B + b];
            }
        }
        for entry in self.entries {
            let gradient = T::splat(simd, entry.gradient);
            for c in 0..C {
                let start = entry.source as usize + self.offsets[c];
                let window = &self.image[start..][..B * T::lanes::<S>()];
                let (window, _) = T::as_lanes::<S>(window);
                for b in 0..B {
                    running[c][b] = T::mul_add(simd, window[b], gradient, running[c][b]);
                }
            }
        }
        for c in 0..C {
            for b in 0..B {
                sums[c * B + b] = running[c][b];
            }
        }
    }
}

struct Scatter<'a, T, const C: usize, const B: usize> {
    weights: &'a [T],
    entries: &'a [Entry<T>],
    offsets: [usize; 3],
    image: &'a mut [T],
}

impl<T: SimdReal, const C: usize, const B: usize> WithSimd for Scatter<'_, T, C, B> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (weights, _) = T::as_lanes::<S>(self.weights);
        let mut own = [[T::splat(simd, T::ZERO); B]; C];
        for c in 0..C {
            for b in 0..B {
                own[c][b] = weights[c * B + b];
            }
        }
        // Neighbouring entries overlap, and an addition has to wait for the one before to reach the memory: with all
        // segments of an entry in turn, there is time for that.
        for entry in self.entries {
            let gradient = T::splat(simd, entry.gradient);
            for c in 0..C {
                let start = entry.source as usize + self.offsets[c];
                let window = &mut self.image[start..][..B * T::lanes::<S>()];
                let (window, _) = T::as_lanes_mut::<S>(window);
                for b in 0..B {
                    window[b] = T::mul_add(simd, own[c][b], gradient, window[b]);
                }
            }
        }
    }
}
