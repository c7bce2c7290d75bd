//! Between channel planes `[channels, height, width]` and pixels `[height, width, channels]`.

use super::pixel_grid::PixelGrid;
use dml_core::kernels::Real;

/// How many planes are gone through together.
const STREAMS: usize = 8;
/// How many pixels of each are turned at once, so that their cache lines are written while they are at hand.
const BLOCK: usize = 16;

/// Writes the planes to the pixels of the grid; its border stays as it is.
#[inline(always)]
pub(super) fn to_pixels<T: Real>(planes: &[T], image: [usize; 2], grid: &PixelGrid, out: &mut [T]) {
    let [height, width] = image;
    if grid.channels == 1 {
        for (y, line) in planes.chunks_exact(width.max(1)).enumerate() {
            out[grid.at(y, 0)..][..width].copy_from_slice(line);
        }
        return;
    }
    let area = height * width;
    // A few planes at a time, each read from beginning to end: more streams than that are not prefetched.
    for c in (0..grid.channels).step_by(STREAMS) {
        let channels = STREAMS.min(grid.channels - c);
        for y in 0..height {
            for x in (0..width).step_by(BLOCK) {
                let columns = BLOCK.min(width - x);
                let out = &mut out[grid.at(y, x) + c..];
                for i in 0..channels {
                    let line = &planes[(c + i) * area + y * width + x..][..columns];
                    for (value, out) in line.iter().zip(out[i..].iter_mut().step_by(grid.channels))
                    {
                        *out = *value;
                    }
                }
            }
        }
    }
}

/// Writes the first channels of the pixels to planes, as many as there are planes, each number through `f`.
#[inline(always)]
pub(super) fn to_planes<T: Copy, U>(
    pixels: &[T],
    image: [usize; 2],
    grid: &PixelGrid,
    out: &mut [U],
    f: impl Fn(T) -> U,
) {
    let [height, width] = image;
    let area = height * width;
    let planes = out.len() / area.max(1);
    for c in (0..planes).step_by(STREAMS) {
        let channels = STREAMS.min(planes - c);
        for y in 0..height {
            for x in (0..width).step_by(BLOCK) {
                let columns = BLOCK.min(width - x);
                let pixels = &pixels[grid.at(y, x) + c..];
                for i in 0..channels {
                    let line = &mut out[(c + i) * area + y * width + x..][..columns];
                    let pixels = pixels[i..].iter().step_by(grid.channels);
                    for (out, value) in line.iter_mut().zip(pixels) {
                        *out = f(*value);
                    }
                }
            }
        }
    }
}
