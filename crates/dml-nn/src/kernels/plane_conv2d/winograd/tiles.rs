//! The tiles of a run of images, and their rows sorted by column of the tile.

use std::ops::Range;

use dml_core::kernels::Real;

use crate::kernels::plane_conv2d::Problem;
use crate::kernels::plane_conv2d::columns::copy;

/// How the tiles of a batch are gone through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiles {
    /// Images of a run, whose tiles lie side by side.
    pub(super) images: usize,
    /// Rows of tiles, and tiles of a row of one image.
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Tiles of a row of a run: whole panels, the last few perhaps empty.
    pub(super) lanes: usize,
    /// Rows of tiles that are transformed at a time.
    pub(super) block: usize,
}

impl Tiles {
    /// Blocks of about `target` tiles, in panels of `width`.
    pub(super) fn new(problem: &Problem, width: usize, target: usize) -> Self {
        let [rows, columns] = problem.output.map(|size| size.div_ceil(2));
        let least = width.max(target / rows).div_ceil(columns);
        let lanes = |images: usize| (images * columns).next_multiple_of(width);
        // A few more images where that leaves fewer lanes empty.
        let images = (least..least + 8)
            .filter(|images| *images <= problem.batch)
            .min_by(|a, b| (lanes(*a) * b).cmp(&(lanes(*b) * a)))
            .unwrap_or(problem.batch);
        Self {
            images,
            rows,
            columns,
            lanes: lanes(images),
            block: (target / lanes(images)).clamp(1, rows),
        }
    }

    /// Elements of a row of pixels with its border.
    pub(super) fn buffer(&self) -> usize {
        2 * self.columns + 2
    }
}

/// Planes that rows of pixels are read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a, T> {
    /// `[batch, channels, height, width]`.
    pub(super) planes: &'a [T],
    pub(super) channels: usize,
    pub(super) image: [usize; 2],
    /// Zeros around the image.
    pub(super) border: [usize; 2],
}

impl<T: Real> Source<'_, T> {
    /// Rows `rows` of one channel, counted from the border, of some images side by side: `out[r][j][image · columns + t]` is
    /// pixel `2 t + j` of row r for `j < phases`.
    #[allow(clippy::too_many_arguments)]
    #[inline(always)]
    pub(super) fn read(
        &self,
        tiles: &Tiles,
        images: Range<usize>,
        channel: usize,
        rows: Range<usize>,
        phases: usize,
        buffer: &mut [T],
        out: &mut [T],
    ) {
        let Tiles { lanes, columns, .. } = *tiles;
        let [height, width] = self.image;
        let [above, left] = self.border;
        let end = (left + width).min(buffer.len());
        let lines = out.chunks_exact_mut(phases * lanes);
        for (row, out) in rows.zip(lines) {
            let Some(y) = row.checked_sub(above).filter(|y| *y < height) else {
                out.fill(T::ZERO);
                continue;
            };
            if images.len() < tiles.images {
                out.fill(T::ZERO);
            }
            for (number, image) in images.clone().enumerate() {
                let line = ((image * self.channels + channel) * height + y) * width;
                copy(&self.planes[line..], &mut buffer[left..end]);
                for j in (0..phases).step_by(2) {
                    let (even, odd) = out[j * lanes..][..2 * lanes].split_at_mut(lanes);
                    let even = &mut even[number * columns..][..columns];
                    let odd = &mut odd[number * columns..][..columns];
                    let (pairs, _) = buffer[j..].as_chunks::<2>();
                    for ((even, odd), pair) in even.iter_mut().zip(odd).zip(pairs) {
                        *even = pair[0];
                        *odd = pair[1];
                    }
                }
            }
        }
    }
}
