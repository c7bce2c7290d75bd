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
//! Bytes are resampled as Pillow does it, bit for bit, since pretrained networks were trained on its images: one axis after
//! the other, each with weights rounded to 22 binary places and results rounded to a byte.

#[cfg(feature = "images")]
use std::borrow::Cow;

use dml_core::Interpolation;

/// Binary places of the weights of bytes: 8 bits of a pixel and 2 of headroom for negative lobes remain of 32.
#[cfg(feature = "images")]
const PLACES: u32 = 32 - 8 - 2;

/// Range of pixels along one axis, in pixels from the edge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Edge where the range begins.
    pub(crate) start: usize,
    /// Number of pixels.
    pub(crate) length: usize,
}

/// For each new pixel, the first old pixel that counts, and the weights from there on.
#[derive(Debug)]
struct Taps<W> {
    first: Vec<usize>,
    /// `width` weights for each new pixel, zeros at the end.
    weights: Vec<W>,
    /// Numbers of weights that are not padding.
    counts: Vec<usize>,
    width: usize,
}

impl<W> Taps<W> {
    fn iter(&self) -> impl Iterator<Item = (usize, &[W])> {
        let weights = self.weights.chunks_exact(self.width).zip(&self.counts);
        self.first
            .iter()
            .zip(weights)
            .map(|(&first, (weights, &count))| (first, &weights[..count]))
    }

    fn map<V>(self, f: impl Fn(W) -> V) -> Taps<V> {
        Taps {
            first: self.first,
            weights: self.weights.into_iter().map(f).collect(),
            counts: self.counts,
            width: self.width,
        }
    }
}

/// Radius of the filter's support, in pixels of the larger of both images.
fn support(filter: Interpolation) -> f64 {
    match filter {
        Interpolation::Bicubic => 2.0,
        Interpolation::Lanczos => 3.0,
        _ => 1.0,
    }
}

/// k of the [formula](self).
fn kernel(filter: Interpolation, t: f64) -> f64 {
    let t = t.abs();
    match filter {
        Interpolation::Bicubic if t < 1.0 => (1.5 * t - 2.5) * t * t + 1.0,
        Interpolation::Bicubic if t < 2.0 => ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0,
        Interpolation::Lanczos if t < 3.0 => sinc(t) * sinc(t / 3.0),
        Interpolation::Bicubic | Interpolation::Lanczos => 0.0,
        _ => (1.0 - t).max(0.0),
    }
}

fn sinc(t: f64) -> f64 {
    if t == 0.0 {
        1.0
    } else {
        let x = t * std::f64::consts::PI;
        x.sin() / x
    }
}

/// Weights of `old` pixels of an axis for `new` pixels over the same range.
fn taps(filter: Interpolation, old: usize, new: usize) -> Taps<f64> {
    let ratio = old as f64 / new as f64;
    let stretch = ratio.max(1.0);
    let reach = support(filter) * stretch;
    let width = 2 * (reach.ceil() as usize) + 1;
    let mut taps = Taps {
        first: Vec::with_capacity(new),
        weights: Vec::with_capacity(new * width),
        counts: Vec::with_capacity(new),
        width,
    };
    for i in 0..new {
        let centre = (i as f64 + 0.5) * ratio;
        let (first, last) = if filter == Interpolation::Nearest {
            let nearest = (centre as usize).min(old - 1);
            (nearest, nearest + 1)
        } else {
            let first = (centre - reach + 0.5).max(0.0) as usize;
            (first, ((centre + reach + 0.5) as usize).min(old))
        };
        let weight = |j: usize| match filter {
            Interpolation::Nearest => 1.0,
            _ => kernel(filter, (j as f64 - centre + 0.5) / stretch),
        };
        let start = taps.weights.len();
        taps.weights.extend((first..last).map(weight));
        let sum: f64 = taps.weights[start..].iter().sum();
        if sum != 0.0 {
            for weight in &mut taps.weights[start..] {
                *weight /= sum;
            }
        }
        taps.weights.resize(start + width, 0.0);
        taps.first.push(first);
        taps.counts.push(last - first);
    }
    taps
}

/// A part of planes `[planes, height, width]` of numbers, as planes of size `[new height, new width]`.
pub(crate) fn planes(
    values: &[f32],
    [height, width]: [usize; 2],
    [rows, columns]: [Span; 2],
    [new_height, new_width]: [usize; 2],
    filter: Interpolation,
) -> Vec<f32> {
    let across = taps(filter, columns.length, new_width).map(|weight| weight as f32);
    let down = taps(filter, rows.length, new_height).map(|weight| weight as f32);
    let mut result = Vec::with_capacity(values.len() / (height * width) * new_height * new_width);
    let mut narrow = vec![0f32; rows.length * new_width];
    for plane in values.chunks_exact(height * width) {
        let lines = plane.chunks_exact(width).skip(rows.start);
        for (out, line) in narrow.chunks_exact_mut(new_width).zip(lines) {
            let line = &line[columns.start..][..columns.length];
            for (out, (first, weights)) in out.iter_mut().zip(across.iter()) {
                let pixels = line[first..].iter().zip(weights);
                *out = pixels.map(|(x, weight)| x * weight).sum();
            }
        }
        for (first, weights) in down.iter() {
            let start = result.len();
            result.resize(start + new_width, 0f32);
            let out = &mut result[start..];
            for (y, weight) in (first..).zip(weights) {
                for (out, x) in out.iter_mut().zip(&narrow[y * new_width..]) {
                    *out += x * weight;
                }
            }
        }
    }
    result
}

/// An image `[height, width, channels]` of bytes with `[new height, new width]`, as Pillow's `Image.resize` computes it.
#[cfg(feature = "images")]
pub(crate) fn bytes(
    pixels: &[u8],
    channels: usize,
    old: [usize; 2],
    new: [usize; 2],
    filter: Interpolation,
) -> Vec<u8> {
    let fixed = |weight: f64| (weight * f64::from(1u32 << PLACES)).round() as i32;
    let mut image = Cow::Borrowed(pixels);
    let mut width = old[1];
    for axis in axes(old.map(|side| side as u64), new.map(|side| side as u64)) {
        if new[axis] == old[axis] {
            continue;
        }
        let taps = taps(filter, old[axis], new[axis]).map(fixed);
        image = Cow::Owned(match axis {
            0 => rows(&image, channels * width, &taps),
            _ => columns(&image, channels, width, &taps),
        });
        width = if axis == 1 { new[1] } else { width };
    }
    image.into_owned()
}

/// The axes, 0 for height and 1 for width, in the order in which [`bytes`] resizes them. Rounding makes the order visible;
/// this is the one of Pillow 13: rows first where the height loses more than twice as many pixels as the width. Older
/// versions always resize the width first.
#[cfg(feature = "images")]
pub(crate) fn axes(old: [u64; 2], new: [u64; 2]) -> [usize; 2] {
    let [lost_rows, lost_columns] =
        [0, 1].map(|axis| i128::from(old[axis]) - i128::from(new[axis]));
    if lost_rows > 0 && lost_rows > 2 * lost_columns {
        [0, 1]
    } else {
        [1, 0]
    }
}

/// Bytes that the weights of an axis take, in double precision and in 22 places.
#[cfg(feature = "images")]
pub(crate) fn bytes_of_weights(filter: Interpolation, old: u64, new: u64) -> u64 {
    let ratio = old as f64 / new.max(1) as f64;
    let width = 2 * (support(filter) * ratio.max(1.0)).ceil() as u64 + 1;
    new.saturating_mul(width).saturating_mul(12)
}

/// A sum of weighted bytes, rounded and clamped.
#[cfg(feature = "images")]
fn byte(sum: i32) -> u8 {
    ((sum + (1 << (PLACES - 1))) >> PLACES).clamp(0, 255) as u8
}

/// Number of rows whose columns are resized at once. They share the weights, so that a vector of numbers takes one weight
/// each time; with two vectors, one sum does not wait for the other's product.
#[cfg(feature = "images")]
const ROWS: usize = 16;

/// Bytes that [`columns`] holds for each number of a row.
#[cfg(feature = "images")]
pub(crate) const BYTES_OF_ROWS: u64 = (ROWS * size_of::<i16>()) as u64;

/// Every row with new columns.
#[cfg(feature = "images")]
fn columns(pixels: &[u8], channels: usize, width: usize, across: &Taps<i32>) -> Vec<u8> {
    let new_width = across.first.len();
    let stride = width * channels;
    let height = pixels.len() / stride;
    let mut result = vec![0u8; height * new_width * channels];
    let mut block = vec![[0i16; ROWS]; stride];
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for top in (0..height).step_by(ROWS) {
                let count = ROWS.min(height - top);
                for row in 0..count {
                    let line = &pixels[(top + row) * stride..][..stride];
                    for (lanes, pixel) in block.iter_mut().zip(line) {
                        lanes[row] = i16::from(*pixel);
                    }
                }
                for (x, (first, weights)) in across.iter().enumerate() {
                    for channel in 0..channels {
                        let mut sums = [0i32; ROWS];
                        let lanes = block[first * channels + channel..].iter().step_by(channels);
                        for (lanes, weight) in lanes.zip(weights) {
                            for (sum, lane) in sums.iter_mut().zip(lanes) {
                                *sum += i32::from(*lane) * weight;
                            }
                        }
                        for (row, sum) in sums.iter().enumerate().take(count) {
                            result[((top + row) * new_width + x) * channels + channel] = byte(*sum);
                        }
                    }
                }
            }
        },
    );
    result
}

/// New rows of `stride` bytes.
#[cfg(feature = "images")]
fn rows(pixels: &[u8], stride: usize, down: &Taps<i32>) -> Vec<u8> {
    let mut result = vec![0u8; down.first.len() * stride];
    let mut sums = vec![0i32; stride];
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for (out, (first, weights)) in result.chunks_exact_mut(stride).zip(down.iter()) {
                sums.fill(0);
                for (y, weight) in (first..).zip(weights) {
                    for (sum, pixel) in sums.iter_mut().zip(&pixels[y * stride..]) {
                        *sum += i32::from(*pixel) * weight;
                    }
                }
                for (out, sum) in out.iter_mut().zip(&sums) {
                    *out = byte(*sum);
                }
            }
        },
    );
    result
}

#[cfg(test)]
mod tests;
