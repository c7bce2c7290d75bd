//! The product of a left side with packed panels, panel by panel.

use std::ops::Range;

use dml_core::kernels::SimdReal;
use pulp::Arch;

use super::TILE_ROWS;
use super::panels::Panels;
use super::tile::PanelProduct;

/// The left side of a product, where it lies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Left<'a, T> {
    /// Element (i, k) at `i · stride + k`.
    Rows {
        /// The numbers.
        data: &'a [T],
        /// Distance of two rows.
        stride: usize,
    },
    /// Element (i, k) at `k · stride + i`. The number of rows is rounded up to a multiple of [`TILE_ROWS`]: as many
    /// numbers are read in every step.
    Steps {
        /// The numbers.
        data: &'a [T],
        /// Distance of two steps.
        stride: usize,
    },
    /// Element (i, k) at `(i / R · depth + k) · R + i % R`, where R is [`TILE_ROWS`]: steps, packed tile by tile.
    Tiles(&'a [T]),
}

/// What becomes of the numbers that stand in the output already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// They are replaced.
    Overwrite,
    /// The product is added to them.
    AddTo,
}

/// `out = left · right`, the sum over the steps `steps` of the right side; row i of `out` begins at `i · stride`.
///
/// The left side begins at the first of the steps.
///
/// # Panics
/// If a slice is shorter than the shapes say.
pub(crate) fn multiply<T: SimdReal>(
    left: Left<'_, T>,
    rows: usize,
    right: (&Panels, &[T]),
    steps: Range<usize>,
    out: (&mut [T], usize),
    existing: Existing,
) {
    let (panels, packed) = right;
    let (out, stride) = out;
    let depth = steps.len();
    assert!(steps.end <= panels.depth && packed.len() >= panels.len());
    if rows == 0 || panels.columns == 0 {
        return;
    }
    assert!((rows - 1) * stride + panels.columns <= out.len());
    if depth == 0 {
        if existing == Existing::Overwrite {
            for row in out.chunks_mut(stride.max(1)).take(rows) {
                row[..panels.columns].fill(T::ZERO);
            }
        }
        return;
    }
    let whole_tiles = rows.next_multiple_of(TILE_ROWS);
    let fits = match left {
        Left::Rows { data, stride } => (rows - 1) * stride + depth <= data.len(),
        Left::Steps { data, stride } => (depth - 1) * stride + whole_tiles <= data.len(),
        Left::Tiles(data) => whole_tiles * depth <= data.len(),
    };
    assert!(fits, "the left side is shorter than its shape");
    let arch = Arch::new();
    for panel in 0..panels.count() {
        let first = panel * panels.size();
        let columns = panels.range(panel);
        arch.dispatch(PanelProduct {
            left,
            rows,
            depth,
            panel: &packed[first + steps.start * panels.width..first + steps.end * panels.width],
            columns: columns.len(),
            out: &mut out[columns.start..],
            stride,
            existing,
        });
    }
}
