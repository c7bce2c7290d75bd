//! Gradients through a max pooling, without the zeros.
//!
//! Of all pixels of a pooling window one alone has a gradient, and which it is differs from channel to channel. So
//! instead of products of matrices that are three quarters zero, each output channel goes through the list of its
//! own pixels: per entry, one window of the input is added to the gradient of the channel's weights, and the
//! channel's weights are added to one window of the input's gradient.

use pulp::Simd;

use super::windows::Segment;
use crate::SimdReal;

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

/// `sums[row] += Σ_entries image[source + offset(row)] · gradient`.
#[inline(always)]
pub(super) fn add_windows<T: SimdReal, S: Simd>(
    simd: S,
    image: &[T],
    entries: &[Entry<T>],
    segments: &[Segment],
    sums: &mut [T],
) {
    let lanes = T::lanes::<S>();
    let (mut sums, _) = T::as_lanes_mut::<S>(sums);
    for segment in segments {
        let (now, later) = sums.split_at_mut(segment.len / lanes);
        sums = later;
        let mut offset = segment.offset;
        let mut now = now;
        while !now.is_empty() {
            let taken = match now.len() {
                6 => gather::<T, S, 6>(simd, image, entries, offset, now),
                12.. => gather::<T, S, 12>(simd, image, entries, offset, now),
                8..12 => gather::<T, S, 8>(simd, image, entries, offset, now),
                4..8 => gather::<T, S, 4>(simd, image, entries, offset, now),
                2..4 => gather::<T, S, 2>(simd, image, entries, offset, now),
                _ => gather::<T, S, 1>(simd, image, entries, offset, now),
            };
            now = &mut now[taken..];
            offset += taken * lanes;
        }
    }
}

#[inline(always)]
fn gather<T: SimdReal, S: Simd, const B: usize>(
    simd: S,
    image: &[T],
    entries: &[Entry<T>],
    offset: usize,
    sums: &mut [T::Lanes<S>],
) -> usize {
    let lanes = T::lanes::<S>();
    let mut running: [T::Lanes<S>; B] = std::array::from_fn(|b| sums[b]);
    for entry in entries {
        let window = &image[entry.source as usize + offset..][..B * lanes];
        let (window, _) = T::as_lanes::<S>(window);
        let gradient = T::splat(simd, entry.gradient);
        for b in 0..B {
            running[b] = T::mul_add(simd, window[b], gradient, running[b]);
        }
    }
    sums[..B].copy_from_slice(&running);
    B
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
    let lanes = T::lanes::<S>();
    let (mut weights, _) = T::as_lanes::<S>(weights);
    for segment in segments {
        let (mut now, later) = weights.split_at(segment.len / lanes);
        weights = later;
        let mut offset = segment.offset;
        while !now.is_empty() {
            let taken = match now.len() {
                6 => scatter::<T, S, 6>(simd, now, entries, offset, image),
                12.. => scatter::<T, S, 12>(simd, now, entries, offset, image),
                8..12 => scatter::<T, S, 8>(simd, now, entries, offset, image),
                4..8 => scatter::<T, S, 4>(simd, now, entries, offset, image),
                2..4 => scatter::<T, S, 2>(simd, now, entries, offset, image),
                _ => scatter::<T, S, 1>(simd, now, entries, offset, image),
            };
            now = &now[taken..];
            offset += taken * lanes;
        }
    }
}

#[inline(always)]
fn scatter<T: SimdReal, S: Simd, const B: usize>(
    simd: S,
    weights: &[T::Lanes<S>],
    entries: &[Entry<T>],
    offset: usize,
    image: &mut [T],
) -> usize {
    let lanes = T::lanes::<S>();
    let weights: [T::Lanes<S>; B] = std::array::from_fn(|b| weights[b]);
    for entry in entries {
        let window = &mut image[entry.source as usize + offset..][..B * lanes];
        let (window, _) = T::as_lanes_mut::<S>(window);
        let gradient = T::splat(simd, entry.gradient);
        for b in 0..B {
            window[b] = T::mul_add(simd, weights[b], gradient, window[b]);
        }
    }
    B
}
