//! Where the windows of a convolution lie in a channels-last image.
//!
//! In an image `[height, width, channels]` the pixels of one row of a window are neighbours, so a window is a few
//! contiguous *segments*, at the same distances from its beginning wherever it lies. A convolution is then a matrix
//! product whose left side is read in place: row q of it begins at `sources[q]`.

use super::Convolution;
use super::pixel_grid::PixelGrid;

/// One contiguous piece of every window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// From the beginning of the window.
    pub(super) offset: usize,
    pub(super) len: usize,
}

/// Windows, and where the result of each is put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Windows {
    /// Where each window begins.
    pub(super) sources: Vec<u32>,
    /// Where the channels of each result begin.
    pub(super) targets: Vec<u32>,
    /// The pieces that every window consists of, in the order of the rows of the packed weights.
    pub(super) segments: Vec<Segment>,
}

fn merge(segments: impl Iterator<Item = Segment>) -> Vec<Segment> {
    let mut merged: Vec<Segment> = Vec::new();
    for segment in segments {
        match merged.last_mut() {
            Some(last) if last.offset + last.len == segment.offset => last.len += segment.len,
            _ => merged.push(segment),
        }
    }
    merged
}

impl Windows {
    /// The windows of the forward pass over an input with a border of `conv.padding`, by output pixel.
    pub(super) fn of_outputs(
        conv: &Convolution,
        output: [usize; 2],
        input: &PixelGrid,
        result: &PixelGrid,
    ) -> Self {
        let pixels = || (0..output[0]).flat_map(|y| (0..output[1]).map(move |x| (y, x)));
        let places = (0..conv.kernel[0]).flat_map(|ky| (0..conv.kernel[1]).map(move |kx| (ky, kx)));
        Self {
            sources: pixels()
                .map(|(y, x)| {
                    ((y * conv.stride[0] * input.row + x * conv.stride[1]) * input.channels) as u32
                })
                .collect(),
            targets: pixels().map(|(y, x)| result.at(y, x) as u32).collect(),
            segments: merge(places.map(|(ky, kx)| Segment {
                offset: (ky * conv.dilation[0] * input.row + kx * conv.dilation[1])
                    * input.channels,
                len: input.channels,
            })),
        }
    }

    /// Elements of a window: the rows of the matrix that it is multiplied by.
    pub(super) fn rows(&self) -> usize {
        self.segments.iter().map(|segment| segment.len).sum()
    }

    /// From the beginning of the window to each of its elements.
    pub(super) fn offsets(&self) -> Vec<usize> {
        self.segments
            .iter()
            .flat_map(|segment| segment.offset..segment.offset + segment.len)
            .collect()
    }
}

/// The input pixels of one phase of the stride, as windows over the gradient of the output.
///
/// Input pixel y takes part in output pixel (y + padding − ky·dilation) / stride for every ky for which that is a
/// whole number, and which these are depends only on (y + padding) mod stride: the *phase*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phase {
    pub(super) windows: Windows,
    /// The kernel places (ky, kx) that the phase uses, in the order of the segments before they were merged.
    pub(super) places: Vec<[usize; 2]>,
}

/// The border that the gradient of the output needs so that no window reaches outside.
pub(super) fn gradient_border(conv: &Convolution) -> [usize; 2] {
    [0, 1].map(|axis| conv.dilation[axis] * (conv.kernel[axis] - 1) / conv.stride[axis] + 1)
}

impl Phase {
    /// The phases of a convolution; together they hold every input pixel once.
    ///
    /// `gradient` has a border of at least [`gradient_border`], and on the far side whatever the input has beyond the
    /// last window.
    pub(super) fn all(
        conv: &Convolution,
        image: [usize; 2],
        gradient: &PixelGrid,
        result: &PixelGrid,
    ) -> Vec<Self> {
        let mut phases = Vec::new();
        for (a, b) in (0..conv.stride[0]).flat_map(|a| (0..conv.stride[1]).map(move |b| (a, b))) {
            let [ys, xs] = [(0, a), (1, b)].map(|(axis, phase)| {
                (0..image[axis])
                    .filter(|at| (at + conv.padding[axis]) % conv.stride[axis] == phase)
                    .collect::<Vec<_>>()
            });
            // Places in descending order, so that the pixels they read ascend and neighbours merge.
            let [kys, kxs] = [(0, a), (1, b)].map(|(axis, phase)| {
                (0..conv.kernel[axis])
                    .rev()
                    .filter(|k| (k * conv.dilation[axis]) % conv.stride[axis] == phase)
                    .collect::<Vec<_>>()
            });
            let (Some(&ky_last), Some(&kx_last)) = (kys.first(), kxs.first()) else {
                continue;
            };
            // The output pixel that the largest place reads, relative to the first border pixel.
            let first = |axis: usize, at: usize, k: usize| {
                let border = gradient_border(conv)[axis] * conv.stride[axis];
                (at + conv.padding[axis] + border - k * conv.dilation[axis]) / conv.stride[axis]
            };
            let start = |y: usize, x: usize, ky: usize, kx: usize| {
                (first(0, y, ky) * gradient.row + first(1, x, kx)) * gradient.channels
            };
            let pixels = || ys.iter().flat_map(|y| xs.iter().map(move |x| (*y, *x)));
            let (Some(&y0), Some(&x0)) = (ys.first(), xs.first()) else {
                continue;
            };
            let places: Vec<[usize; 2]> = kys
                .iter()
                .flat_map(|ky| kxs.iter().map(move |kx| [*ky, *kx]))
                .collect();
            let begin = start(y0, x0, ky_last, kx_last);
            phases.push(Self {
                windows: Windows {
                    sources: pixels()
                        .map(|(y, x)| start(y, x, ky_last, kx_last) as u32)
                        .collect(),
                    targets: pixels().map(|(y, x)| result.at(y, x) as u32).collect(),
                    segments: merge(places.iter().map(|[ky, kx]| Segment {
                        offset: start(y0, x0, *ky, *kx) - begin,
                        len: gradient.channels,
                    })),
                },
                places,
            });
        }
        phases
    }
}
