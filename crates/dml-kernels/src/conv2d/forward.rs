//! The forward pass, one image of one group at a time.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::multiply::{Epilogue, multiply};
use super::panels::{PanelLayout, Tiling};
use super::planes::{to_pixels, to_planes};
use super::pool::PoolWindows;
use super::windows::{Grid, Windows};
use super::{Block, Convolution, Operands};
use crate::SimdReal;
use crate::aligned::Aligned;

/// The result of a [`Block`].
#[derive(Clone, Debug, PartialEq)]
pub struct Forward<T> {
    /// `[batch, out_channels, height, width]`.
    pub output: Vec<T>,
    /// With pooling: for each value, the place of its window that it came from, which the backward pass reads.
    pub places: Vec<u8>,
}

impl<T> Forward<T> {
    /// What the backward pass reads.
    #[must_use]
    pub fn kept(&self) -> Kept<'_, T> {
        Kept {
            output: &self.output,
            places: &self.places,
        }
    }
}

/// What the backward pass reads of the result of a [`Block`].
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a, T> {
    /// [`Forward::output`].
    pub output: &'a [T],
    /// [`Forward::places`].
    pub places: &'a [u8],
}

/// How many images one job takes: enough to pay for the job, few enough to keep every thread busy to the end.
const IMAGES: usize = 4;

/// The packed weights and bias of each group.
pub(super) struct Packed<T> {
    pub(super) layout: PanelLayout,
    pub(super) weights: Vec<Aligned<T>>,
    /// Padded to whole registers.
    bias: Vec<Vec<T>>,
}

impl<T: SimdReal> Packed<T> {
    pub(super) fn new(conv: &Convolution, weight: &[T], bias: &[T]) -> Self {
        let (inputs, outputs) = (conv.group_inputs(), conv.group_outputs());
        let area = conv.kernel[0] * conv.kernel[1];
        let layout = PanelLayout::new(conv.window(), outputs, Tiling::detect::<T>());
        let weights = (0..conv.groups)
            .map(|group| {
                layout.pack(|row, column| {
                    let (place, channel) = (row / inputs, row % inputs);
                    weight[((group * outputs + column) * inputs + channel) * area + place]
                })
            })
            .collect();
        let bias = (0..conv.groups)
            .map(|group| {
                if bias.is_empty() {
                    return Vec::new();
                }
                let mut padded = bias[group * outputs..][..outputs].to_vec();
                padded.resize(outputs.next_multiple_of(layout.lanes), T::ZERO);
                padded
            })
            .collect();
        Self {
            layout,
            weights,
            bias,
        }
    }

    pub(super) fn epilogue(&self, group: usize, relu: bool) -> Epilogue<'_, T> {
        Epilogue {
            bias: &self.bias[group],
            relu,
        }
    }
}

/// Computes a block. Sizes are the caller's to check.
#[must_use]
pub fn forward<T: SimdReal>(block: &Block, operands: &Operands<'_, T>) -> Forward<T> {
    let conv = &block.convolution;
    let nothing = Forward {
        output: Vec::new(),
        places: Vec::new(),
    };
    let Some(full) = conv.output(operands.image) else {
        return nothing;
    };
    let Some(output) = block.output(operands.image) else {
        return nothing;
    };
    let (inputs, outputs) = (conv.group_inputs(), conv.group_outputs());
    let grid = Grid::padded(operands.image, conv.padding, inputs);
    let result = Grid::padded(full, [0, 0], outputs);
    let pass = Pass {
        block,
        operands,
        full,
        output,
        grid,
        result,
        windows: Windows::of_outputs(conv, full, &grid, &result),
        packed: Packed::new(conv, operands.weight, operands.bias),
        pool: block.pooling.as_ref().map(|p| PoolWindows::new(p, full)),
    };
    let input_size = inputs * operands.image[0] * operands.image[1];
    let output_size = outputs * output[0] * output[1];
    if input_size == 0 || output_size == 0 {
        return nothing;
    }
    let units = operands.input.len() / input_size;
    let mut forward = Forward {
        output: vec![T::ZERO; units * output_size],
        places: vec![
            0;
            if pass.pool.is_some() {
                units * output_size
            } else {
                0
            }
        ],
    };
    let arch = Arch::new();
    let run = IMAGES * output_size;
    let jobs = forward.output.par_chunks_mut(run);
    let first = |job: usize| job * IMAGES;
    if pass.pool.is_some() {
        jobs.zip(forward.places.par_chunks_mut(run))
            .enumerate()
            .for_each(|(job, (output, places))| {
                arch.dispatch(Job {
                    pass: &pass,
                    first: first(job),
                    output,
                    places,
                });
            });
    } else {
        jobs.enumerate().for_each(|(job, output)| {
            arch.dispatch(Job {
                pass: &pass,
                first: first(job),
                output,
                places: &mut [],
            });
        });
    }
    forward
}

/// What all images share.
struct Pass<'a, T> {
    block: &'a Block,
    operands: &'a Operands<'a, T>,
    full: [usize; 2],
    output: [usize; 2],
    grid: Grid,
    result: Grid,
    windows: Windows,
    packed: Packed<T>,
    pool: Option<PoolWindows>,
}

/// Some images, one group of channels after the other.
struct Job<'a, T> {
    pass: &'a Pass<'a, T>,
    /// The first unit: images times groups, counted through.
    first: usize,
    output: &'a mut [T],
    places: &'a mut [u8],
}

impl<T: SimdReal> WithSimd for Job<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let pass = self.pass;
        let conv = &pass.block.convolution;
        let outputs = conv.group_outputs();
        let input_size = conv.group_inputs() * pass.operands.image[0] * pass.operands.image[1];
        let output_size = outputs * pass.output[0] * pass.output[1];
        let mut pixels = Aligned::<T>::zeros(pass.grid.len);
        let mut full = Aligned::<T>::zeros(pass.result.len);
        let pooled_size = if pass.pool.is_some() { output_size } else { 0 };
        let mut pooled = Aligned::<T>::zeros(pooled_size);
        let mut places = vec![0u8; pooled_size];
        let output_grid = Grid::padded(pass.output, [0, 0], outputs);
        for (i, output) in self.output.chunks_exact_mut(output_size).enumerate() {
            let unit = self.first + i;
            let group = unit % conv.groups;
            let planes = &pass.operands.input[unit * input_size..][..input_size];
            to_pixels(planes, pass.operands.image, &pass.grid, &mut pixels);
            multiply(
                simd,
                &pixels,
                &pass.windows,
                &pass.packed.layout,
                &pass.packed.weights[group],
                pass.packed.epilogue(group, pass.block.relu),
                &mut full,
            );
            match &pass.pool {
                None => to_planes(&full, pass.full, &pass.result, output),
                Some(pool) => {
                    pool.maxima(&full, outputs, pass.block.relu, &mut pooled, &mut places);
                    to_planes(&pooled, pass.output, &output_grid, output);
                    let places_out = &mut self.places[i * output_size..][..output_size];
                    to_planes(&places, pass.output, &output_grid, places_out);
                }
            }
            if !pass.operands.scale.is_empty() {
                let scale = &pass.operands.scale[unit * outputs..][..outputs];
                let area = pass.output[0] * pass.output[1];
                for (plane, scale) in output.chunks_exact_mut(area).zip(scale) {
                    for value in plane {
                        *value = *value * *scale;
                    }
                }
            }
        }
    }
}
