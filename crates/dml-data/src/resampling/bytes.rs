//! Resizing of bytes as Pillow does it, bit for bit, since pretrained networks were trained on its images.
//!
//! One axis is resized after the other, each with weights rounded to 22 binary places and results rounded to a byte.

use std::borrow::Cow;

use dml_core::Interpolation;

use super::byte_square::transpose;
use super::taps::{Taps, taps};
use super::{Axis, Span};

/// Binary places of the weights of bytes: 8 bits of a pixel and 2 of headroom for negative lobes remain of 32.
const PLACES: u32 = 32 - 8 - 2;

/// Half of the last place of a result.
const HALF: i32 = 1 << (PLACES - 1);

/// Part of an image `[height, width, channels]` of bytes, in the rows and columns of the whole image.
struct Part<'a> {
    pixels: Cow<'a, [u8]>,
    rows: Span,
    columns: Span,
}

impl Part<'_> {
    /// The bytes of a row from a column on, to the end of the part.
    fn from(&self, channels: usize, y: usize, x: usize) -> &[u8] {
        let pixel = (y - self.rows.start) * self.columns.length + x - self.columns.start;
        &self.pixels[pixel * channels..]
    }
}

/// An image `[height, width, channels]` of bytes with another height and width, as Pillow's `Image.resize` computes it.
/// `channels` is 1 or 3.
pub(crate) fn bytes(
    pixels: &[u8],
    channels: usize,
    [height, width]: [usize; 2],
    both: [Axis; 2],
    filter: Interpolation,
) -> Vec<u8> {
    let mut part = Part {
        pixels: Cow::Borrowed(pixels),
        rows: Span::all(height),
        columns: Span::all(width),
    };
    let old = both.map(|axis| axis.part.length as u64);
    let new = both.map(|axis| axis.new as u64);
    let fixed = |axis: Axis| {
        let fix = |weight: f64| (weight * f64::from(1u32 << PLACES)).round() as i32;
        (!axis.keeps_size()).then(|| taps(filter, axis).map(fix))
    };
    let [mut down, mut across] = both.map(fixed);
    // What is kept of an axis, once it has its new size.
    let [rows, columns] = [0, 1].map(|i| {
        let keeps_size = both[i].keeps_size();
        if keeps_size {
            both[i].kept_part()
        } else {
            both[i].kept
        }
    });
    for axis in axes(old, new) {
        if axis == 1 {
            let Some(across) = across.take() else {
                continue;
            };
            let rows = down.as_ref().map_or(rows, Taps::reach);
            let pixels = new_columns(&part, channels, rows, &across);
            part = Part {
                pixels: pixels.into(),
                rows,
                columns,
            };
        } else {
            let Some(down) = down.take() else { continue };
            let columns = across.as_ref().map_or(columns, Taps::reach);
            let pixels = new_rows(&part, channels, columns, &down);
            part = Part {
                pixels: pixels.into(),
                rows,
                columns,
            };
        }
    }
    if (part.rows, part.columns) == (rows, columns) {
        return part.pixels.into_owned();
    }
    let mut cut = Vec::with_capacity(rows.length * columns.length * channels);
    for y in rows.start..rows.end() {
        let row = part.from(channels, y, columns.start);
        cut.extend_from_slice(&row[..columns.length * channels]);
    }
    cut
}

/// The axes, 0 for height and 1 for width, in the order in which [`bytes`] resizes them. Rounding makes the order visible;
/// this is the one of Pillow 13: rows first where the height loses more than twice as many pixels as the width. Older
/// versions always resize the width first.
pub(crate) fn axes(old: [u64; 2], new: [u64; 2]) -> [usize; 2] {
    let [lost_rows, lost_columns] =
        [0, 1].map(|axis| i128::from(old[axis]) - i128::from(new[axis]));
    if lost_rows > 0 && lost_rows > 2 * lost_columns {
        [0, 1]
    } else {
        [1, 0]
    }
}

/// A sum of weighted bytes, rounded and clamped.
#[inline(always)]
fn byte(sum: i32) -> u8 {
    (sum >> PLACES).clamp(0, 255) as u8
}

/// Number of rows whose columns are resized at once. They have the weights in common, so that a row is a lane of vectors.
const ROWS: usize = 32;

/// Bytes that [`new_columns`] holds for each byte of an old and of a new row.
#[cfg(feature = "images")]
pub(crate) const BYTES_OF_ROWS: u64 = ROWS as u64;

/// Rows with new columns.
fn new_columns(part: &Part<'_>, channels: usize, rows: Span, across: &Taps<i32>) -> Vec<u8> {
    let columns = across.reach();
    let (length, new_length) = (columns.length * channels, across.len() * channels);
    let mut result = vec![0u8; rows.length * new_length];
    // Columns of the rows, which are whole eights of both.
    let mut old = vec![[0u8; ROWS]; length.next_multiple_of(8)];
    let mut new = vec![[0u8; ROWS]; new_length.next_multiple_of(8)];
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let blocks = result.chunks_mut(ROWS * new_length);
            for (top, block) in (rows.start..).step_by(ROWS).zip(blocks) {
                let lines = block.len() / new_length;
                // Where there are fewer rows, the last one fills the lanes.
                let lines: [&[u8]; ROWS] = std::array::from_fn(|lane| {
                    let y = top + lane.min(lines - 1);
                    &part.from(channels, y, columns.start)[..length]
                });
                to_columns(&lines, &mut old);
                for (x, (from, weights)) in across.iter().enumerate() {
                    for channel in 0..channels {
                        let column = (from - columns.start) * channels + channel;
                        let taps = old[column..].iter().step_by(channels).zip(weights);
                        let mut sums = [HALF; ROWS];
                        for (lanes, weight) in taps {
                            for (sum, lane) in sums.iter_mut().zip(lanes) {
                                *sum += i32::from(*lane) * weight;
                            }
                        }
                        for (out, sum) in new[x * channels + channel].iter_mut().zip(sums) {
                            *out = byte(sum);
                        }
                    }
                }
                to_rows(&new, block, new_length);
            }
        },
    );
    result
}

/// Squares of 8 × 8 bytes in the lanes of eight columns.
const SQUARES: usize = ROWS / 8;

/// Writes rows to the lanes of their columns.
#[inline(always)]
fn to_columns(lines: &[&[u8]; ROWS], columns: &mut [[u8; ROWS]]) {
    for (i, columns) in columns.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let mut squares = [[0; SQUARES]; 8];
        for (lane, line) in lines.iter().enumerate() {
            squares[lane % 8][lane / 8] = match line[8 * i..].first_chunk() {
                Some(bytes) => u64::from_le_bytes(*bytes),
                None => last_bytes(&line[8 * i..]),
            };
        }
        transpose(&mut squares);
        for (column, squares) in columns.iter_mut().zip(&squares) {
            let lanes = column.as_chunks_mut().0;
            for (lanes, square) in lanes.iter_mut().zip(squares) {
                *lanes = square.to_le_bytes();
            }
        }
    }
}

/// Fewer than eight bytes, and zeros.
#[cold]
fn last_bytes(bytes: &[u8]) -> u64 {
    let mut all = [0; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(all)
}

/// Writes the lanes of columns to rows of `length` bytes, as many as there are.
#[inline(always)]
fn to_rows(columns: &[[u8; ROWS]], rows: &mut [u8], length: usize) {
    for (i, columns) in columns.as_chunks::<8>().0.iter().enumerate() {
        let mut squares = [[0; SQUARES]; 8];
        for (squares, column) in squares.iter_mut().zip(columns) {
            let lanes = column.as_chunks().0;
            for (square, lanes) in squares.iter_mut().zip(lanes) {
                *square = u64::from_le_bytes(*lanes);
            }
        }
        transpose(&mut squares);
        for (lane, row) in rows.chunks_exact_mut(length).enumerate() {
            let bytes = squares[lane % 8][lane / 8 % SQUARES].to_le_bytes();
            match row[8 * i..].first_chunk_mut() {
                Some(out) => *out = bytes,
                None => {
                    let left = &mut row[8 * i..];
                    left.copy_from_slice(&bytes[..left.len()]);
                }
            }
        }
    }
}

/// Bytes of a row that are summed together, so that their sums stay in registers.
const BLOCK: usize = 32;

/// New rows of `columns`.
fn new_rows(part: &Part<'_>, channels: usize, columns: Span, down: &Taps<i32>) -> Vec<u8> {
    let stride = part.columns.length * channels;
    let length = columns.length * channels;
    let mut result = vec![0u8; down.len() * length];
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for (out, (first, weights)) in result.chunks_exact_mut(length).zip(down.iter()) {
                let lines = part.from(channels, first, columns.start);
                let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
                for (i, block) in blocks.iter_mut().enumerate() {
                    let mut sums = [HALF; BLOCK];
                    for (y, weight) in weights.iter().enumerate() {
                        let line = lines[y * stride + i * BLOCK..].first_chunk::<BLOCK>();
                        for (sum, x) in sums.iter_mut().zip(line.unwrap_or(&[0; BLOCK])) {
                            *sum += i32::from(*x) * weight;
                        }
                    }
                    for (out, sum) in block.iter_mut().zip(sums) {
                        *out = byte(sum);
                    }
                }
                let start = length - rest.len();
                for (i, out) in (start..).zip(rest) {
                    let column = lines[i..].iter().step_by(stride).zip(weights);
                    let sum: i32 = column.map(|(x, weight)| i32::from(*x) * weight).sum();
                    *out = byte(sum + HALF);
                }
            }
        },
    );
    result
}
