//! Between channel planes `[channels, height, width]` and pixels `[height, width, channels]`.

use super::windows::Grid;
use crate::Real;

/// How many pixels of how many channels are turned at once: 16 cache lines to 16 cache lines.
const BLOCK: usize = 16;

/// Writes the planes to the pixels of the grid; its border stays as it is.
#[inline(always)]
pub(super) fn to_pixels<T: Real>(planes: &[T], image: [usize; 2], grid: &Grid, out: &mut [T]) {
    let [height, width] = image;
    if grid.channels == 1 {
        for (y, line) in planes.chunks_exact(width.max(1)).enumerate() {
            out[grid.at(y, 0)..][..width].copy_from_slice(line);
        }
        return;
    }
    let area = height * width;
    for y in 0..height {
        for x in (0..width).step_by(BLOCK) {
            let columns = BLOCK.min(width - x);
            for c in (0..grid.channels).step_by(BLOCK) {
                let channels = BLOCK.min(grid.channels - c);
                let out = &mut out[grid.at(y, x) + c..];
                for i in 0..channels {
                    let line = &planes[(c + i) * area + y * width + x..][..columns];
                    for (pixel, value) in line.iter().enumerate() {
                        out[pixel * grid.channels + i] = *value;
                    }
                }
            }
        }
    }
}

/// Writes the pixels of the grid to planes.
#[inline(always)]
pub(super) fn to_planes<T: Copy>(pixels: &[T], image: [usize; 2], grid: &Grid, out: &mut [T]) {
    let [height, width] = image;
    if grid.channels == 1 {
        for (y, line) in out.chunks_exact_mut(width.max(1)).enumerate() {
            line.copy_from_slice(&pixels[grid.at(y, 0)..][..width]);
        }
        return;
    }
    let area = height * width;
    for y in 0..height {
        for x in (0..width).step_by(BLOCK) {
            let columns = BLOCK.min(width - x);
            for c in (0..grid.channels).step_by(BLOCK) {
                let channels = BLOCK.min(grid.channels - c);
                let pixels = &pixels[grid.at(y, x) + c..];
                for i in 0..channels {
                    let line = &mut out[(c + i) * area + y * width + x..][..columns];
                    for (pixel, value) in line.iter_mut().enumerate() {
                        *value = pixels[pixel * grid.channels + i];
                    }
                }
            }
        }
    }
}
