//! The columns of the matrix that a convolution multiplies with its weights: one per pixel of the output.
//!
//! The pixels of a few images are counted through and cut into panels as wide as a register tile. A panel is contiguous in
//! memory in a few *pieces*: along the rows of the input, and along the planes of the output.

use dml_core::kernels::{Real, SimdReal};
use pulp::Simd;

use super::phase_planes::PhasePlanes;

/// Columns that are contiguous in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// First column within the panel.
    pub(super) lane: usize,
    /// Image within the run.
    pub(super) image: usize,
    /// Element of the plane.
    pub(super) at: usize,
    /// Number of columns.
    pub(super) len: usize,
}

/// A panel of columns.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    /// Where the columns lie in a plane of the input.
    pub(super) sources: Vec<Piece>,
    /// Where they lie in a plane of the output.
    pub(super) targets: Vec<Piece>,
}

/// The panels of `images` images, `width` columns each, the last one perhaps fewer.
pub(super) fn panels(
    images: usize,
    output: [usize; 2],
    width: usize,
    planes: &PhasePlanes,
) -> Vec<Panel> {
    let area = output[0] * output[1];
    let seamless = planes.pitch() == output[1] && planes.window(1, 0) == output[1];
    let source = |pixel: usize| {
        let (y, x) = (pixel / output[1], pixel % output[1]);
        let room = if seamless {
            area - pixel
        } else {
            output[1] - x
        };
        (planes.window(y, x), room)
    };
    let target = |pixel: usize| (pixel, area - pixel);
    let total = images * area;
    (0..total)
        .step_by(width)
        .map(|first| {
            let columns = first..(first + width).min(total);
            Panel {
                sources: pieces(columns.clone(), area, source),
                targets: pieces(columns, area, target),
            }
        })
        .collect()
}

/// `columns` cut where `place(pixel)`, an element and the number of columns that follow each other from there, ends.
fn pieces(
    columns: std::ops::Range<usize>,
    area: usize,
    place: impl Fn(usize) -> (usize, usize),
) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut column = columns.start;
    while column < columns.end {
        let (at, room) = place(column % area);
        let len = room.min(columns.end - column);
        pieces.push(Piece {
            lane: column - columns.start,
            image: column / area,
            at,
            len,
        });
        column += len;
    }
    pieces
}

/// Copies as many elements as `out` has; the usual lengths in registers.
#[inline(always)]
pub(crate) fn copy<T: Real>(from: &[T], out: &mut [T]) {
    macro_rules! of {
        ($($len:literal)*) => {
            match out.len() {
                $($len => {
                    if let (Some(from), Some(out)) = (from.first_chunk::<$len>(), out.first_chunk_mut::<$len>()) {
                        *out = *from;
                    }
                })*
                len => out.copy_from_slice(&from[..len]),
            }
        };
    }
    of!(2 4 8 16 32 64);
}

/// Adds a row of a tile to `out`.
#[inline(always)]
pub(super) fn add<T: SimdReal, S: Simd>(simd: S, from: &[T], out: &mut [T]) {
    let len = out.len();
    let (out, rest) = T::as_lanes_mut::<S>(out);
    let (from, from_rest) = T::as_lanes::<S>(&from[..len]);
    for (out, from) in out.iter_mut().zip(from) {
        *out = T::plus(simd, *out, *from);
    }
    for (out, from) in rest.iter_mut().zip(from_rest) {
        *out += *from;
    }
}
