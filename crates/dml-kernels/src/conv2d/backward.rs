//! The backward pass, one image of one group at a time: gradients of the input, the weights and the bias.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::forward::Kept;
use super::multiply::{Epilogue, multiply};
use super::panels::{PanelLayout, Tiling};
use super::planes::{to_pixels, to_planes};
use super::pool::{NOWHERE, PoolWindows};
use super::sparse::{self, Entry};
use super::windows::{Grid, Phase, Windows, gradient_border};
use super::{Block, Convolution, Operands, weight_gradient};
use crate::SimdReal;
use crate::aligned::Aligned;

/// The gradients of a [`Block`].
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients<T> {
    /// As the input; empty if it was not asked for.
    pub input: Vec<T>,
    /// As the weights.
    pub weight: Vec<T>,
    /// `[out_channels]`.
    pub bias: Vec<T>,
}

/// The fewest images that are summed before sums of sums are taken.
const IMAGES: usize = 4;
/// The most parts that the sum over images is cut into, and how many bytes they may take together.
const PARTS: usize = 32;
const PART_BYTES: usize = 64 << 20;

/// Gradients of a block, given the gradient of its result. Sizes are the caller's to check.
///
/// `kept` is of what [`forward`](super::forward) returned for the same operands.
#[must_use]
pub fn backward<T: SimdReal>(
    block: &Block,
    operands: &Operands<'_, T>,
    kept: Kept<'_, T>,
    gradient: &[T],
    needs_input: bool,
) -> Gradients<T> {
    let conv = &block.convolution;
    let mut gradients = Gradients {
        input: vec![T::ZERO; if needs_input { operands.input.len() } else { 0 }],
        weight: vec![T::ZERO; operands.weight.len()],
        bias: vec![T::ZERO; conv.out_channels],
    };
    let (Some(full), Some(output)) = (conv.output(operands.image), block.output(operands.image))
    else {
        return gradients;
    };
    let image_size = conv.in_channels * operands.image[0] * operands.image[1];
    if image_size == 0 || gradient.is_empty() {
        return gradients;
    }
    let pass = Pass::new(block, operands, kept, gradient, full, output, needs_input);
    let images = operands.input.len() / image_size;
    let run = images.div_ceil(pass.parts(images));
    let arch = Arch::new();
    let sums: Vec<Sums<T>> = if needs_input {
        gradients
            .input
            .par_chunks_mut(run * image_size)
            .enumerate()
            .map(|(job, input)| {
                arch.dispatch(Job {
                    pass: &pass,
                    images: job * run..(job * run + run).min(images),
                    input,
                })
            })
            .collect()
    } else {
        (0..images.div_ceil(run))
            .into_par_iter()
            .map(|job| {
                arch.dispatch(Job {
                    pass: &pass,
                    images: job * run..(job * run + run).min(images),
                    input: &mut [],
                })
            })
            .collect()
    };
    pass.add_up(&sums, &mut gradients);
    gradients
}

/// The sums of one job.
struct Sums<T> {
    /// Per group, in the order that the pass works in.
    weight: Vec<Aligned<T>>,
    bias: Vec<f64>,
}

/// How the gradient of the output is gone through.
enum Route<T> {
    /// As pixels with a border, products of matrices.
    Dense {
        /// Pixels of the output's gradient.
        grid: Grid,
        /// Windows from input to the output's gradient.
        windows: Windows,
        offsets: Vec<usize>,
        layout: PanelLayout,
        phases: Vec<(Phase, PanelLayout)>,
        /// Per phase and group.
        weights: Vec<Vec<Aligned<T>>>,
    },
    /// As lists of the pixels that have a gradient.
    Sparse {
        windows: Windows,
        /// Per group, `[out_channels, window]`.
        weights: Vec<Aligned<T>>,
    },
}

/// What all images share.
struct Pass<'a, T> {
    block: &'a Block,
    operands: &'a Operands<'a, T>,
    kept: Kept<'a, T>,
    gradient: &'a [T],
    full: [usize; 2],
    output: [usize; 2],
    needs_input: bool,
    /// Pixels of the input and of its gradient.
    grid: Grid,
    pool: Option<PoolWindows>,
    route: Route<T>,
}

impl<'a, T: SimdReal> Pass<'a, T> {
    fn new(
        block: &'a Block,
        operands: &'a Operands<'a, T>,
        kept: Kept<'a, T>,
        gradient: &'a [T],
        full: [usize; 2],
        output: [usize; 2],
        needs_input: bool,
    ) -> Self {
        let conv = &block.convolution;
        let tiling = Tiling::detect::<T>();
        let grid = Grid::padded(operands.image, conv.padding, conv.group_inputs());
        let plain = Grid::padded(full, [0, 0], conv.group_outputs());
        let windows = Windows::of_outputs(conv, full, &grid, &plain);
        let weights = Weights {
            conv,
            weight: operands.weight,
        };
        let route = if block.pooling.is_some() && sparse::fits(&windows.segments, tiling.lanes) {
            Route::Sparse {
                windows,
                weights: (0..conv.groups).map(|g| weights.by_output(g)).collect(),
            }
        } else {
            let grid_of_gradient = gradient_grid(conv, operands.image, full);
            let windows = Windows::of_outputs(conv, full, &grid, &grid_of_gradient);
            let layout = PanelLayout::new(conv.window(), conv.group_outputs(), tiling);
            let phases: Vec<(Phase, PanelLayout)> = if needs_input {
                Phase::all(conv, operands.image, &grid_of_gradient, &grid)
                    .into_iter()
                    .map(|phase| {
                        let layout =
                            PanelLayout::new(phase.windows.rows(), conv.group_inputs(), tiling);
                        (phase, layout)
                    })
                    .collect()
            } else {
                Vec::new()
            };
            Route::Dense {
                offsets: windows.offsets(),
                windows,
                layout,
                weights: phases
                    .iter()
                    .map(|(phase, layout)| {
                        (0..conv.groups)
                            .map(|group| weights.by_input(group, phase, layout))
                            .collect()
                    })
                    .collect(),
                phases,
                grid: grid_of_gradient,
            }
        };
        Self {
            block,
            operands,
            kept,
            gradient,
            full,
            output,
            needs_input,
            grid,
            pool: block.pooling.as_ref().map(|p| PoolWindows::new(p, full)),
            route,
        }
    }

    /// Into how many jobs the images are cut: the same for the same sizes, whoever works on them.
    fn parts(&self, images: usize) -> usize {
        let bytes = size_of_val(self.operands.weight).max(1);
        let affordable = (PART_BYTES / bytes).max(rayon::current_num_threads());
        images.div_ceil(IMAGES).min(PARTS).min(affordable).max(1)
    }

    fn empty_sums(&self) -> Sums<T> {
        let conv = &self.block.convolution;
        let len = match &self.route {
            Route::Dense { layout, .. } => layout.len,
            Route::Sparse { .. } => conv.window() * conv.group_outputs(),
        };
        Sums {
            weight: (0..conv.groups).map(|_| Aligned::zeros(len)).collect(),
            bias: vec![0.0; conv.out_channels],
        }
    }

    /// The sums of all jobs, in order, in the layout of the parameters.
    fn add_up(&self, sums: &[Sums<T>], gradients: &mut Gradients<T>) {
        let conv = &self.block.convolution;
        let (inputs, outputs) = (conv.group_inputs(), conv.group_outputs());
        let area = conv.kernel[0] * conv.kernel[1];
        for (channel, out) in gradients.bias.iter_mut().enumerate() {
            *out = T::from_f64(sums.iter().map(|sums| sums.bias[channel]).sum());
        }
        for group in 0..conv.groups {
            let Some(first) = sums.first() else { return };
            let mut total = vec![T::ZERO; first.weight[group].len()];
            total.par_chunks_mut(4096).enumerate().for_each(|(i, out)| {
                for sums in sums {
                    let part = &sums.weight[group][i * 4096..];
                    for (out, part) in out.iter_mut().zip(part) {
                        *out += *part;
                    }
                }
            });
            let mut set = |row: usize, column: usize, value: T| {
                let (place, channel) = (row / inputs, row % inputs);
                gradients.weight[((group * outputs + column) * inputs + channel) * area + place] =
                    value;
            };
            match &self.route {
                Route::Dense { layout, .. } => layout.unpack(&total, set),
                Route::Sparse { .. } => {
                    for (column, line) in total.chunks_exact(conv.window()).enumerate() {
                        for (row, value) in line.iter().enumerate() {
                            set(row, column, *value);
                        }
                    }
                }
            }
        }
    }
}

/// The pixels of the output's gradient, with a border of zeros wherever a window of the input's gradient reaches.
fn gradient_grid(conv: &Convolution, image: [usize; 2], full: [usize; 2]) -> Grid {
    let border = gradient_border(conv);
    let [height, width] = [0, 1].map(|axis| {
        let last = (image[axis] - 1 + conv.padding[axis]) / conv.stride[axis];
        border[axis] + full[axis].max(last + 1)
    });
    Grid {
        channels: conv.group_outputs(),
        row: width,
        origin: (border[0] * width + border[1]) * conv.group_outputs(),
        len: height * width * conv.group_outputs(),
    }
}

/// The weights in the orders that the backward pass reads them in.
struct Weights<'a, T> {
    conv: &'a Convolution,
    weight: &'a [T],
}

impl<T: SimdReal> Weights<'_, T> {
    fn at(&self, group: usize, output: usize, input: usize, place: usize) -> T {
        let (inputs, outputs) = (self.conv.group_inputs(), self.conv.group_outputs());
        let area = self.conv.kernel[0] * self.conv.kernel[1];
        self.weight[((group * outputs + output) * inputs + input) * area + place]
    }

    /// `[out_channels, kernel, in_channels]`.
    fn by_output(&self, group: usize) -> Aligned<T> {
        let (inputs, window) = (self.conv.group_inputs(), self.conv.window());
        let mut out = Aligned::zeros(window * self.conv.group_outputs());
        for (output, line) in out.chunks_exact_mut(window).enumerate() {
            for (row, value) in line.iter_mut().enumerate() {
                *value = self.at(group, output, row % inputs, row / inputs);
            }
        }
        out
    }

    /// `[kernel places of the phase · out_channels, in_channels]`, in panels.
    fn by_input(&self, group: usize, phase: &Phase, layout: &PanelLayout) -> Aligned<T> {
        let outputs = self.conv.group_outputs();
        layout.pack(|row, input| {
            let [ky, kx] = phase.places[row / outputs];
            self.at(group, row % outputs, input, ky * self.conv.kernel[1] + kx)
        })
    }
}

/// Some images.
struct Job<'a, T> {
    pass: &'a Pass<'a, T>,
    images: std::ops::Range<usize>,
    /// The gradient of their input, to be written; empty if nobody needs it.
    input: &'a mut [T],
}

impl<T: SimdReal> WithSimd for Job<'_, T> {
    type Output = Sums<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Sums<T> {
        let pass = self.pass;
        let conv = &pass.block.convolution;
        let [height, width] = pass.operands.image;
        let input_size = conv.group_inputs() * height * width;
        let outputs = conv.group_outputs();
        let output_size = outputs * pass.output[0] * pass.output[1];
        let mut sums = pass.empty_sums();
        let mut scratch = Scratch {
            pixels: Aligned::zeros(pass.grid.len),
            pixels_gradient: Aligned::zeros(if pass.needs_input { pass.grid.len } else { 0 }),
            planes: Vec::new(),
            gradient: Aligned::zeros(match &pass.route {
                Route::Dense { grid, .. } => grid.len,
                Route::Sparse { .. } => 0,
            }),
            entries: Vec::new(),
        };
        let first = self.images.start * conv.groups;
        for unit in first..self.images.end * conv.groups {
            let group = unit % conv.groups;
            let planes = &pass.operands.input[unit * input_size..][..input_size];
            to_pixels(planes, pass.operands.image, &pass.grid, &mut scratch.pixels);
            let incoming = Incoming {
                gradient: &pass.gradient[unit * output_size..][..output_size],
                output: &pass.kept.output[unit * output_size..][..output_size],
                places: pass
                    .kept
                    .places
                    .get(unit * output_size..(unit + 1) * output_size)
                    .unwrap_or(&[]),
                scale: if pass.operands.scale.is_empty() {
                    &[]
                } else {
                    &pass.operands.scale[unit * outputs..][..outputs]
                },
            };
            let bias = &mut sums.bias[group * outputs..][..outputs];
            let weight = &mut sums.weight[group];
            match &pass.route {
                Route::Dense { .. } => {
                    dense(simd, pass, &incoming, group, &mut scratch, weight, bias);
                }
                Route::Sparse { windows, weights } => {
                    let weights = &weights[group];
                    through_pooling(
                        simd,
                        pass,
                        windows,
                        weights,
                        &incoming,
                        &mut scratch,
                        weight,
                        bias,
                    );
                }
            }
            if pass.needs_input {
                let out = &mut self.input[(unit - first) * input_size..][..input_size];
                to_planes(&scratch.pixels_gradient, [height, width], &pass.grid, out);
            }
        }
        sums
    }
}

/// The memory of a job.
struct Scratch<T> {
    pixels: Aligned<T>,
    pixels_gradient: Aligned<T>,
    /// The gradient of the convolution's result, as planes.
    planes: Vec<T>,
    /// The same as pixels with a border.
    gradient: Aligned<T>,
    entries: Vec<Entry<T>>,
}

/// What comes back to one image of one group.
struct Incoming<'a, T> {
    gradient: &'a [T],
    output: &'a [T],
    places: &'a [u8],
    scale: &'a [T],
}

impl<T: SimdReal> Incoming<'_, T> {
    #[inline(always)]
    fn scale(&self, channel: usize) -> T {
        self.scale.get(channel).copied().unwrap_or(T::ONE)
    }

    /// The gradient of the convolution's result, `[out_channels, height, width]`.
    #[inline(always)]
    fn expand(&self, pass: &Pass<'_, T>, planes: &mut Vec<T>) {
        let area = pass.full[0] * pass.full[1];
        let pooled = pass.output[0] * pass.output[1];
        planes.clear();
        planes.resize(pass.block.convolution.group_outputs() * area, T::ZERO);
        for (channel, plane) in planes.chunks_exact_mut(area).enumerate() {
            let scale = self.scale(channel);
            let gradient = &self.gradient[channel * pooled..][..pooled];
            if let Some(pool) = &pass.pool {
                let places = &self.places[channel * pooled..][..pooled];
                for (window, (gradient, place)) in gradient.iter().zip(places).enumerate() {
                    if *place != NOWHERE {
                        plane[pool.pixel(window, *place)] += *gradient * scale;
                    }
                }
            } else {
                let output = &self.output[channel * pooled..][..pooled];
                for ((out, gradient), output) in plane.iter_mut().zip(gradient).zip(output) {
                    let passes = !pass.block.relu || *output != T::ZERO;
                    *out = if passes { *gradient * scale } else { T::ZERO };
                }
            }
        }
    }
}

#[inline(always)]
fn dense<T: SimdReal, S: Simd>(
    simd: S,
    pass: &Pass<'_, T>,
    incoming: &Incoming<'_, T>,
    group: usize,
    scratch: &mut Scratch<T>,
    weight: &mut [T],
    bias: &mut [f64],
) {
    let Route::Dense {
        grid,
        windows,
        offsets,
        layout,
        phases,
        weights,
    } = &pass.route
    else {
        return;
    };
    incoming.expand(pass, &mut scratch.planes);
    let area = pass.full[0] * pass.full[1];
    for (bias, plane) in bias.iter_mut().zip(scratch.planes.chunks_exact(area)) {
        *bias += sum(plane);
    }
    to_pixels(&scratch.planes, pass.full, grid, &mut scratch.gradient);
    weight_gradient::accumulate(
        simd,
        &scratch.pixels,
        windows,
        offsets,
        &scratch.gradient,
        layout,
        weight,
    );
    for ((phase, layout), weights) in phases.iter().zip(weights) {
        let nothing = Epilogue {
            bias: &[],
            relu: false,
        };
        multiply(
            simd,
            &scratch.gradient,
            &phase.windows,
            layout,
            &weights[group],
            nothing,
            &mut scratch.pixels_gradient,
        );
    }
}

/// Σ x, in eight double-precision sums.
#[inline(always)]
fn sum<T: SimdReal>(values: &[T]) -> f64 {
    let mut lanes = [0f64; 8];
    let mut chunks = values.chunks_exact(8);
    for chunk in &mut chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += x.to_f64();
        }
    }
    let rest: f64 = chunks.remainder().iter().map(|x| x.to_f64()).sum();
    lanes.iter().sum::<f64>() + rest
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn through_pooling<T: SimdReal, S: Simd>(
    simd: S,
    pass: &Pass<'_, T>,
    windows: &Windows,
    weights: &[T],
    incoming: &Incoming<'_, T>,
    scratch: &mut Scratch<T>,
    weight: &mut [T],
    bias: &mut [f64],
) {
    let Some(pool) = &pass.pool else { return };
    scratch.pixels_gradient.fill(T::ZERO);
    let window = pass.block.convolution.window();
    let count = pool.count();
    // A row of pooled pixels at a time: the pixels that their windows touch stay in the first-level cache while all
    // channels pass by.
    let band = pass.output[1];
    scratch.entries.resize(band, Entry::default());
    for start in (0..count).step_by(band) {
        for (channel, bias) in bias.iter_mut().enumerate() {
            let scale = incoming.scale(channel);
            if scale == T::ZERO {
                continue;
            }
            let range = channel * count + start..channel * count + start + band;
            let (gradient, places) = (&incoming.gradient[range.clone()], &incoming.places[range]);
            let mut taken = 0;
            let mut total = T::ZERO;
            for (i, (gradient, place)) in gradient.iter().zip(places).enumerate() {
                // Written always and kept if it counts: which of them do is not predictable.
                let passes = *place != NOWHERE;
                let gradient = *gradient * scale;
                let pixel = pool.pixel(start + i, if passes { *place } else { 0 });
                scratch.entries[taken] = Entry {
                    source: windows.sources[pixel],
                    gradient,
                };
                total += if passes { gradient } else { T::ZERO };
                taken += usize::from(passes && gradient != T::ZERO);
            }
            *bias += total.to_f64();
            let entries = &scratch.entries[..taken];
            let line = channel * window..(channel + 1) * window;
            sparse::add_windows(
                simd,
                &scratch.pixels,
                entries,
                &windows.segments,
                &mut weight[line.clone()],
            );
            if pass.needs_input {
                sparse::scatter_weights(
                    simd,
                    &weights[line],
                    entries,
                    &windows.segments,
                    &mut scratch.pixels_gradient,
                );
            }
        }
    }
}
