//! The right side of a product, cut into panels of a few registers' width.

use std::ops::Range;

use dml_core::kernels::SimdReal;
use dml_core::kernels::in_place::InPlace;
use rayon::prelude::*;

use crate::kernels::register_tile::detect_width;

/// How many rows of a transposed matrix are read at a time.
const BLOCK: usize = 16;

/// The places of a packed matrix `[depth, columns]`: panel after panel, each `[depth, width]` in rows. The last panel is
/// filled up with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panels {
    pub(crate) depth: usize,
    pub(crate) columns: usize,
    /// Columns of a panel.
    pub(crate) width: usize,
}

impl Panels {
    /// The panels of a matrix `[depth, columns]` on this processor.
    pub(crate) fn new<T: SimdReal>(depth: usize, columns: usize) -> Self {
        Self {
            depth,
            columns,
            width: detect_width::<T>(),
        }
    }

    /// Number of panels.
    pub(crate) fn count(&self) -> usize {
        self.columns.div_ceil(self.width)
    }

    /// Number of elements of a panel.
    pub(crate) fn size(&self) -> usize {
        self.depth * self.width
    }

    /// Number of elements of the packed matrix.
    pub(crate) fn len(&self) -> usize {
        self.count() * self.size()
    }

    /// The columns of a panel.
    pub(crate) fn range(&self, panel: usize) -> Range<usize> {
        panel * self.width..((panel + 1) * self.width).min(self.columns)
    }

    /// Packs the matrix whose row k begins at `k · stride` in `source`.
    pub(crate) fn pack_rows<T: SimdReal>(&self, source: &[T], stride: usize, packed: &mut [T]) {
        for panel in 0..self.count() {
            let packed = &mut packed[panel * self.size()..][..self.size()];
            self.pack_rows_of(panel, source, stride, packed);
        }
    }

    /// Packs the matrix whose column j begins at `j · stride` in `source`.
    pub(crate) fn pack_columns<T: SimdReal>(&self, source: &[T], stride: usize, packed: &mut [T]) {
        for panel in 0..self.count() {
            let packed = &mut packed[panel * self.size()..][..self.size()];
            self.pack_columns_of(panel, source, stride, packed);
        }
    }

    /// As [`pack_rows`](Self::pack_rows), in parallel.
    pub(crate) fn par_pack_rows<T: SimdReal>(&self, source: &[T], stride: usize, packed: &mut [T]) {
        self.in_parallel(packed, |panel, packed| {
            self.pack_rows_of(panel, source, stride, packed);
        });
    }

    /// As [`pack_columns`](Self::pack_columns), in parallel.
    pub(crate) fn par_pack_columns<T: SimdReal>(
        &self,
        source: &[T],
        stride: usize,
        packed: &mut [T],
    ) {
        self.in_parallel(packed, |panel, packed| {
            self.pack_columns_of(panel, source, stride, packed);
        });
    }

    fn in_parallel<T: SimdReal>(&self, packed: &mut [T], pack: impl Fn(usize, &mut [T]) + Sync) {
        packed[..self.len()]
            .par_chunks_mut(self.size().max(1))
            .enumerate()
            .with_min_len((65_536 / self.size().max(1)).max(1))
            .for_each_in_place(|(panel, packed)| pack(panel, packed));
    }

    fn pack_rows_of<T: SimdReal>(
        &self,
        panel: usize,
        source: &[T],
        stride: usize,
        packed: &mut [T],
    ) {
        let columns = self.range(panel);
        let (start, count) = (columns.start, columns.len());
        for (k, line) in packed.chunks_exact_mut(self.width).enumerate() {
            line[..count].copy_from_slice(&source[k * stride + start..][..count]);
            line[count..].fill(T::ZERO);
        }
    }

    fn pack_columns_of<T: SimdReal>(
        &self,
        panel: usize,
        source: &[T],
        stride: usize,
        packed: &mut [T],
    ) {
        let columns = self.range(panel);
        for left in (0..self.width).step_by(BLOCK) {
            let count = BLOCK.min(self.width - left);
            // Columns past the last one have no source, and stay zero.
            let sources: [&[T]; BLOCK] = std::array::from_fn(|j| {
                let column = columns.start + left + j;
                if j < count && column < columns.end {
                    &source[column * stride..][..self.depth]
                } else {
                    Default::default()
                }
            });
            if count == BLOCK && sources[BLOCK - 1].len() == self.depth {
                interleave(&sources, self.width, left, packed);
                continue;
            }
            for (k, line) in packed.chunks_exact_mut(self.width).enumerate() {
                for (place, source) in line[left..][..count].iter_mut().zip(&sources) {
                    *place = source.get(k).copied().unwrap_or(T::ZERO);
                }
            }
        }
    }
}

/// Element k of each source, side by side, at `left` of row k of `width` numbers.
fn interleave<T: SimdReal>(sources: &[&[T]; BLOCK], width: usize, left: usize, packed: &mut [T]) {
    const STEPS: usize = 8;
    let depth = sources[0].len();
    let whole = depth / STEPS * STEPS;
    let mut block = [[T::ZERO; STEPS]; BLOCK];
    for start in (0..whole).step_by(STEPS) {
        for (block, source) in block.iter_mut().zip(sources) {
            block.copy_from_slice(&source[start..start + STEPS]);
        }
        let lines = packed[start * width..][..STEPS * width].chunks_exact_mut(width);
        for (k, line) in lines.enumerate() {
            let (line, _) = line[left..].split_at_mut(BLOCK);
            for (place, block) in line.iter_mut().zip(&block) {
                *place = block[k];
            }
        }
    }
    for k in whole..depth {
        let line = &mut packed[k * width + left..][..BLOCK];
        for (place, source) in line.iter_mut().zip(sources) {
            *place = source[k];
        }
    }
}
