//! The gradient of the weights: transformed gradients `[outputs, tiles]` times transformed inputs `[inputs, tiles]`, summed over
//! tiles, and the transform back.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use dml_core::kernels::SimdReal;
use dml_core::kernels::aligned::Aligned;
use dml_core::kernels::in_place::InPlace;

use super::PLACES;
use super::tiles::{Source, Tiles};
use super::transforms::{Layout, Spread, weight_gradients as transform};
use crate::kernels::plane_conv2d::Problem;
use crate::kernels::plane_conv2d::weight_gradient::{OuterProduct, part_count};
use crate::kernels::register_tile::{detect_width, width};

/// Tiles whose products are summed in registers.
const TILES: usize = 128;
/// Most input channels of a task: the gradient is transformed again for each group of them.
const CHANNELS: usize = 128;

struct Pass<'a, T> {
    problem: &'a Problem,
    input: &'a [T],
    gradient: &'a [T],
    tiles: Tiles,
}

pub(in super::super) fn weight_gradient<T: SimdReal>(
    problem: &Problem,
    input: &[T],
    gradient: &[T],
    out: &mut [T],
) {
    let conv = &problem.conv;
    let (inputs, outputs) = (conv.in_channels, conv.out_channels);
    let width = detect_width::<T>();
    let tiles = Tiles::new(problem, width, TILES);
    let pass = Pass {
        problem,
        input,
        gradient,
        tiles,
    };
    let blocks = inputs.div_ceil(CHANNELS);
    let channels = inputs.div_ceil(blocks);
    let blocks = inputs.div_ceil(channels);
    let runs = problem.batch.div_ceil(tiles.images);
    // A transformed weight has 16 numbers instead of 9.
    let parts = part_count(runs, blocks, 2 * size_of_val(out));
    let arch = Arch::new();
    let sums: Vec<Aligned<T>> = (0..blocks * parts).into_par_iter().map_in_place(|task| {
        let (block, part) = (task / parts, task % parts);
        let first = block * channels;
        arch.dispatch(Job {
            pass: &pass,
            channels: first..(first + channels).min(inputs),
            runs: part * runs / parts..(part + 1) * runs / parts,
        })
    });
    let panels = outputs.div_ceil(width);
    out.par_chunks_mut(inputs * 9)
        .enumerate()
        .for_each_in_place(|(output, out)| {
            let (panel, lane) = (output / width, output % width);
            let (out, _) = out.as_chunks_mut::<9>();
            for (input, out) in out.iter_mut().enumerate() {
                let (block, row) = (input / channels, input % channels);
                let rows = channels.min(inputs - block * channels);
                let u = std::array::from_fn(|place| {
                    let at = ((place * panels + panel) * rows + row) * width + lane;
                    let mut sum = T::ZERO;
                    for sums in &sums[block * parts..][..parts] {
                        sum += sums[at];
                    }
                    sum
                });
                *out = transform(u);
            }
        });
}

/// The sums of some input channels over some images: `[places, panels of outputs, channels, width]`.
struct Job<'a, T> {
    pass: &'a Pass<'a, T>,
    channels: std::ops::Range<usize>,
    runs: std::ops::Range<usize>,
}

impl<T: SimdReal> WithSimd for Job<'_, T> {
    type Output = Aligned<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Aligned<T> {
        let Self { pass, channels, .. } = self;
        let Pass { problem, tiles, .. } = pass;
        let width = width::<T, S>();
        let (inputs, outputs) = (channels.len(), problem.conv.out_channels);
        let panels = outputs.div_ceil(width);
        let lanes = tiles.lanes;
        // Rows a power of two apart would compete for a few places in the first-level cache.
        let stride = tiles.block * lanes + 16;
        let layout = |rows: usize| Layout {
            places: rows * stride,
            panels: width,
            width,
        };
        let padded_outputs = panels * width;
        let mut buffers = [(); 2].map(|()| vec![T::ZERO; tiles.buffer()]);
        let mut rows = Aligned::<T>::zeros((2 * tiles.block + 2) * 4 * lanes);
        let mut left = Aligned::<T>::zeros(PLACES * inputs * stride);
        let mut right = Aligned::<T>::zeros(PLACES * padded_outputs * stride);
        let mut transposed = Aligned::<T>::zeros(padded_outputs * tiles.block * lanes);
        let mut sums = Aligned::<T>::zeros(PLACES * padded_outputs * inputs);
        let source = Source {
            planes: pass.input,
            channels: problem.conv.in_channels,
            image: problem.image,
            border: problem.conv.padding,
        };
        let gradient = Source {
            planes: pass.gradient,
            channels: outputs,
            image: problem.output,
            border: [0, 0],
        };
        for run in self.runs {
            let first = run * tiles.images;
            let images = first..(first + tiles.images).min(problem.batch);
            for top in (0..tiles.rows).step_by(tiles.block) {
                let count = tiles.block.min(tiles.rows - top);
                for (row, channel) in channels.clone().enumerate() {
                    let pixels = 2 * top..2 * (top + count) + 2;
                    let buffer = &mut buffers[0];
                    source.read(tiles, images.clone(), channel, pixels, 4, buffer, &mut rows);
                    simd.vectorize(Spread::<T, 4> {
                        rows: &rows,
                        lanes,
                        count,
                        layout: layout(inputs),
                        out: &mut left[row * stride..],
                    });
                }
                for output in 0..outputs {
                    let pixels = 2 * top..2 * (top + count);
                    let buffer = &mut buffers[1];
                    gradient.read(tiles, images.clone(), output, pixels, 2, buffer, &mut rows);
                    simd.vectorize(Spread::<T, 2> {
                        rows: &rows,
                        lanes,
                        count,
                        layout: layout(padded_outputs),
                        out: &mut right[output * stride..],
                    });
                }
                let depth = count * lanes;
                let places = left
                    .chunks_exact(inputs * stride)
                    .zip(right.chunks_exact(padded_outputs * stride))
                    .zip(sums.chunks_exact_mut(padded_outputs * inputs));
                for ((left, right), sums) in places {
                    let product = OuterProduct {
                        left: (left, inputs),
                        right,
                        stride,
                        panels,
                        depth,
                    };
                    product.add_to(simd, sums, &mut transposed);
                }
            }
        }
        sums
    }
}
