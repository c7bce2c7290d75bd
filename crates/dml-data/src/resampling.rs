//! Images of another size, by separable filters that are antialiased.
//!
//! ```text
//! y[i] = Σ_j k((j + ½ − c) / s) · x[j] / Σ_j k((j + ½ − c) / s)
//! c = (i + ½) · r,   r = old / new,   s = max(1, r)
//!
//! bilinear   k(t) = 1 − |t|                                                        for |t| < 1
//! bicubic    k(t) = 1.5 |t|³ − 2.5 |t|² + 1                                        for |t| < 1
//!                   −0.5 |t|³ + 2.5 |t|² − 4 |t| + 2                               for 1 ≤ |t| < 2
//! Lanczos    k(t) = sinc(t) · sinc(t / 3)                                          for |t| < 3
//! nearest    y[i] = x[⌊c⌋]
//! ```
//!
//! Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981 (with a = −½). Where an image shrinks, the
//! filter is as wide as a new pixel, so that every old pixel counts.
//!
//! A part of an image is resized as if it were the whole image, and pixels that are cut off afterwards are not computed.

mod byte_square;
mod bytes;
mod taps;

use dml_core::Interpolation;

pub(crate) use bytes::bytes;
#[cfg(feature = "images")]
pub(crate) use bytes::{BYTES_OF_ROWS, axes};
#[cfg(feature = "images")]
pub(crate) use taps::bytes_of_weights;
use taps::taps;

/// Range of pixels along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// First pixel.
    pub(crate) start: usize,
    /// Number of pixels.
    pub(crate) length: usize,
}

impl Span {
    /// All pixels of an axis.
    pub(crate) fn all(length: usize) -> Self {
        Self { start: 0, length }
    }

    fn end(self) -> usize {
        self.start + self.length
    }
}

/// How one axis is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    /// Old pixels that are resized.
    pub(crate) part: Span,
    /// Number of pixels that they become.
    pub(crate) new: usize,
    /// New pixels that are computed.
    pub(crate) kept: Span,
}

impl Axis {
    /// A part of the old pixels, of whose new pixels all are computed.
    pub(crate) fn new(part: Span, new: usize) -> Self {
        let kept = Span::all(new);
        Self { part, new, kept }
    }

    /// Whether the part keeps its size.
    fn keeps_size(self) -> bool {
        self.part.length == self.new
    }

    /// The old pixels that become the kept ones, of a part that keeps its size.
    fn kept_part(self) -> Span {
        Span {
            start: self.part.start + self.kept.start,
            ..self.kept
        }
    }
}

/// A part of planes `[planes, height, width]` of numbers in another size.
pub(crate) fn planes(
    values: &[f32],
    [height, width]: [usize; 2],
    [down, across]: [Axis; 2],
    filter: Interpolation,
) -> Vec<f32> {
    let new_width = across.kept.length;
    let rows = down.part;
    let [down, across] = [down, across].map(|axis| taps(filter, axis).map(|weight| weight as f32));
    let planes = values.len() / (height * width).max(1);
    let mut result = Vec::with_capacity(planes * down.len() * new_width);
    let mut narrow = vec![0f32; rows.length * new_width];
    for plane in values.chunks_exact(height * width) {
        let lines = plane.chunks_exact(width).skip(rows.start);
        for (out, line) in narrow.chunks_exact_mut(new_width).zip(lines) {
            for (out, (first, weights)) in out.iter_mut().zip(across.iter()) {
                let pixels = line[first..].iter().zip(weights);
                *out = pixels.map(|(x, weight)| x * weight).sum();
            }
        }
        for (first, weights) in down.iter() {
            let start = result.len();
            result.resize(start + new_width, 0f32);
            let out = &mut result[start..];
            for (y, weight) in (first - rows.start..).zip(weights) {
                for (out, x) in out.iter_mut().zip(&narrow[y * new_width..]) {
                    *out += x * weight;
                }
            }
        }
    }
    result
}

#[cfg(test)]
mod tests;
