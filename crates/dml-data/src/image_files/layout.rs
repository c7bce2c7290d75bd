//! Where the pixels of an image come to lie in one of another size.

use dml_core::Interpolation;

use super::{ImageFilesConfig, Resize};
use crate::resampling::{self, Axis, Span};

/// How rows and columns of an image are resized, cut and padded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Height and width of the image.
    old: [usize; 2],
    axes: [Axis; 2],
    /// Height and width of the result, where it has a margin of black.
    padded: Option<[usize; 2]>,
    filter: Interpolation,
}

impl Layout {
    /// The layout of an image of height and width `old`.
    pub(super) fn new(config: &ImageFilesConfig, old: [usize; 2]) -> Self {
        let all = old.map(Span::all);
        let both = |parts: [Span; 2], new: [usize; 2]| [0, 1].map(|i| Axis::new(parts[i], new[i]));
        let mut padded = None;
        let axes = match config.resize {
            Resize::Keep => both(all, old),
            Resize::Stretch => both(all, config.size),
            Resize::CenterCrop => {
                let part = within(config.size, old);
                let part = [0, 1].map(|i| Span {
                    start: (old[i] - part[i]) / 2,
                    length: part[i],
                });
                both(part, config.size)
            }
            Resize::Pad => {
                padded = Some(config.size);
                both(all, within(old, config.size))
            }
            Resize::ShortestSide(side) => {
                let mut axes = both(all, with_shortest_side(old, side));
                for (axis, length) in axes.iter_mut().zip(config.size) {
                    let start = half_even(axis.new - length);
                    axis.kept = Span { start, length };
                }
                axes
            }
        };
        Self {
            old,
            axes,
            padded,
            filter: config.interpolation,
        }
    }

    /// Height and width that the image is resized to, before its middle is cut out.
    fn resized(&self) -> [usize; 2] {
        self.axes.map(|axis| axis.new)
    }

    /// Height and width as they are resized.
    pub(super) fn axes(&self) -> [Axis; 2] {
        self.axes
    }

    /// The image with another height and width; `pixels` are `[height, width, channels]`.
    pub(super) fn apply(&self, pixels: Vec<u8>, channels: usize) -> Vec<u8> {
        let all = self.old.map(Span::all);
        let is_same = |i: usize| self.axes[i] == Axis::new(all[i], self.old[i]);
        let pixels = if is_same(0) && is_same(1) {
            pixels
        } else {
            resampling::bytes(&pixels, channels, self.old, self.axes, self.filter)
        };
        match self.padded {
            Some(size) if size != self.resized() => pad(&pixels, channels, self.resized(), size),
            _ => pixels,
        }
    }
}

/// The image in the middle of black.
fn pad(pixels: &[u8], channels: usize, old: [usize; 2], new: [usize; 2]) -> Vec<u8> {
    let mut padded = vec![0; new[0] * new[1] * channels];
    let [top, left] = [0, 1].map(|i| (new[i] - old[i]) / 2);
    let rows = pixels.chunks_exact(old[1] * channels);
    let lines = padded.chunks_exact_mut(new[1] * channels).skip(top);
    for (line, row) in lines.zip(rows) {
        line[left * channels..][..row.len()].copy_from_slice(row);
    }
    padded
}

/// Sides of the largest rectangle of proportions `a` within `b`.
fn within(a: [usize; 2], b: [usize; 2]) -> [usize; 2] {
    let ([a_height, a_width], [b_height, b_width]) = (a.map(|n| n as u64), b.map(|n| n as u64));
    let (height, width) = if b_height * a_width <= b_width * a_height {
        (b_height, (b_height * a_width / a_height).max(1))
    } else {
        ((b_width * a_height / a_width).max(1), b_width)
    };
    [height as usize, width as usize]
}

/// Height and width before the middle is cut out: `side` for the shortest side, the longer one in proportion, rounded
/// down as in torchvision.
fn with_shortest_side([height, width]: [usize; 2], side: usize) -> [usize; 2] {
    if height < width {
        [side, (side as u64 * width as u64 / height as u64) as usize]
    } else {
        [(side as u64 * height as u64 / width as u64) as usize, side]
    }
}

/// Half of the pixels beyond the middle, rounded to the even number as in torchvision.
fn half_even(beyond: usize) -> usize {
    let half = beyond / 2;
    half + (beyond % 2) * (half % 2)
}
