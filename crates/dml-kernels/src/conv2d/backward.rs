//! The backward pass, one image of one group at a time: gradients of the input, the weights and the bias.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::forward::Kept;
use super::multiply::{Epilogue, multiply};
use super::panels::{PanelLayout, Tiling};
use super::planes::{to_pixels, to_planes};
use super::pool::{NOWHERE, PoolWindows};
use super::sparse::{self, Entry};
use super::stage::Stage;
use super::weight_gradient::SLACK;
use super::windows::{Grid, Phase, Windows, gradient_border};
use super::{Block, Convolution, Filter, Operands, weight_gradient};
use crate::SimdReal;
use crate::aligned::Aligned;

/// The gradients of a [`Block`].
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients<T> {
    /// As the input; empty if it was not asked for.
    pub input: Vec<T>,
    /// As weights and bias of the first convolution; empty if there is none.
    pub first: FilterGradient<T>,
    /// As weights and bias of the convolution.
    pub filter: FilterGradient<T>,
}

/// The gradients of the parameters of a convolution.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FilterGradient<T> {
    /// As the weights.
    pub weight: Vec<T>,
    /// `[out_channels]`.
    pub bias: Vec<T>,
}

impl<T: SimdReal> FilterGradient<T> {
    fn zeros(conv: Option<&Convolution>) -> Self {
        let (weight, bias) = conv.map_or((0, 0), |conv| {
            (conv.out_channels * conv.window(), conv.out_channels)
        });
        Self {
            weight: vec![T::ZERO; weight],
            bias: vec![T::ZERO; bias],
        }
    }
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
    let needs_input = needs_input && block.first.is_none();
    let mut gradients = Gradients {
        input: vec![T::ZERO; if needs_input { operands.input.len() } else { 0 }],
        first: FilterGradient::zeros(block.first.as_ref()),
        filter: FilterGradient::zeros(Some(&block.convolution)),
    };
    let channels = block
        .first
        .as_ref()
        .unwrap_or(&block.convolution)
        .in_channels;
    let image_size = channels * operands.image[0] * operands.image[1];
    if image_size == 0 || gradient.is_empty() {
        return gradients;
    }
    let Some(pass) = Pass::new(block, operands, kept, gradient, needs_input) else {
        return gradients;
    };
    let images = operands.input.len() / image_size;
    let run = images.div_ceil(pass.parts(images));
    let arch = Arch::new();
    let job = |number: usize, input| {
        arch.dispatch(Job {
            pass: &pass,
            images: number * run..(number * run + run).min(images),
            input,
        })
    };
    let sums: Vec<Sums<T>> = if needs_input {
        gradients
            .input
            .par_chunks_mut(run * image_size)
            .enumerate()
            .map(|(number, input)| job(number, input))
            .collect()
    } else {
        (0..images.div_ceil(run))
            .into_par_iter()
            .map(|number| job(number, &mut []))
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
    first_weight: Aligned<T>,
    first_bias: Vec<f64>,
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

/// The convolution before: computed again, then given its gradients.
struct First<T> {
    stage: Stage<T>,
    /// From the input to the pixels between the two convolutions.
    windows: Windows,
    offsets: Vec<usize>,
    layout: PanelLayout,
}

/// What all images share.
struct Pass<'a, T> {
    block: &'a Block,
    operands: &'a Operands<'a, T>,
    kept: Kept<'a, T>,
    gradient: &'a [T],
    full: [usize; 2],
    output: [usize; 2],
    /// Whether anything before the convolution needs a gradient.
    needs_pixels: bool,
    first: Option<First<T>>,
    /// Pixels that the convolution reads, and of their gradient.
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
        needs_input: bool,
    ) -> Option<Self> {
        let (inner, full) = block.sizes(operands.image)?;
        let output = block.output(operands.image)?;
        let conv = &block.convolution;
        let tiling = Tiling::detect::<T>();
        let grid = Grid::padded(inner, conv.padding, conv.group_inputs());
        let first = match (&block.first, &operands.first) {
            (Some(conv), Some(filter)) => {
                let stage = Stage::new(conv, operands.image, inner, filter, &grid);
                let windows = Windows::of_outputs(conv, inner, &stage.grid, &grid);
                Some(First {
                    offsets: windows.offsets(),
                    windows,
                    layout: PanelLayout::new(conv.window(), conv.out_channels, tiling),
                    stage,
                })
            }
            _ => None,
        };
        let needs_pixels = needs_input || first.is_some();
        let plain = Grid::padded(full, [0, 0], conv.group_outputs());
        let windows = Windows::of_outputs(conv, full, &grid, &plain);
        let filter = &operands.filter;
        let route = if block.pooling.is_some() && sparse::fits(&windows.segments, tiling.lanes) {
            Route::Sparse {
                windows,
                weights: (0..conv.groups)
                    .map(|group| by_output(conv, filter, group))
                    .collect(),
            }
        } else {
            let grid_of_gradient = gradient_grid(conv, inner, full);
            let windows = Windows::of_outputs(conv, full, &grid, &grid_of_gradient);
            let layout = PanelLayout::new(conv.window(), conv.group_outputs(), tiling);
            let phases: Vec<(Phase, PanelLayout)> = if needs_pixels {
                Phase::all(conv, inner, &grid_of_gradient, &grid)
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
                            .map(|group| by_input(conv, filter, group, phase, layout))
                            .collect()
                    })
                    .collect(),
                phases,
                grid: grid_of_gradient,
            }
        };
        Some(Self {
            block,
            operands,
            kept,
            gradient,
            full,
            output,
            needs_pixels,
            first,
            grid,
            pool: block.pooling.as_ref().map(|p| PoolWindows::new(p, full)),
            route,
        })
    }

    /// Into how many jobs the images are cut: the same for the same sizes, whoever works on them.
    fn parts(&self, images: usize) -> usize {
        let bytes = size_of_val(self.operands.filter.weight).max(1);
        let affordable = (PART_BYTES / bytes).max(rayon::current_num_threads());
        images.div_ceil(IMAGES).min(PARTS).min(affordable).max(1)
    }

    fn empty_sums(&self) -> Sums<T> {
        let conv = &self.block.convolution;
        let len = match &self.route {
            Route::Dense { layout, .. } => layout.len,
            Route::Sparse { .. } => conv.window() * conv.group_outputs(),
        };
        let first = self.first.as_ref();
        Sums {
            weight: (0..conv.groups).map(|_| Aligned::zeros(len)).collect(),
            bias: vec![0.0; conv.out_channels],
            first_weight: Aligned::zeros(first.map_or(0, |first| first.layout.len)),
            first_bias: vec![0.0; first.map_or(0, |first| first.stage.conv.out_channels)],
        }
    }

    /// The sums of all jobs, in order, in the layout of the parameters.
    fn add_up(&self, sums: &[Sums<T>], gradients: &mut Gradients<T>) {
        let conv = &self.block.convolution;
        let total_bias = |bias: &mut [T], part: fn(&Sums<T>) -> &[f64]| {
            for (channel, out) in bias.iter_mut().enumerate() {
                *out = T::from_f64(sums.iter().map(|sums| part(sums)[channel]).sum());
            }
        };
        total_bias(&mut gradients.filter.bias, |sums| &sums.bias);
        total_bias(&mut gradients.first.bias, |sums| &sums.first_bias);
        for group in 0..conv.groups {
            let total = total(sums.iter().map(|sums| &sums.weight[group][..]));
            let mut set = setter(conv, group, &mut gradients.filter.weight);
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
        if let Some(first) = &self.first {
            let total = total(sums.iter().map(|sums| &sums.first_weight[..]));
            let set = setter(&first.stage.conv, 0, &mut gradients.first.weight);
            first.layout.unpack(&total, set);
        }
    }
}

/// The parts added up in order.
fn total<'a, T: SimdReal>(parts: impl Iterator<Item = &'a [T]>) -> Vec<T> {
    const RUN: usize = 4096;
    let parts: Vec<&[T]> = parts.collect();
    let mut total = vec![T::ZERO; parts.first().map_or(0, |part| part.len())];
    total.par_chunks_mut(RUN).enumerate().for_each(|(i, out)| {
        for part in &parts {
            for (out, part) in out.iter_mut().zip(&part[i * RUN..]) {
                *out += *part;
            }
        }
    });
    total
}

/// Where the gradient of (row of the window, output channel) goes in the layout of the weights.
fn setter<'a, T>(
    conv: &Convolution,
    group: usize,
    weight: &'a mut [T],
) -> impl FnMut(usize, usize, T) + use<'a, T> {
    let (inputs, outputs) = (conv.group_inputs(), conv.group_outputs());
    let area = conv.kernel[0] * conv.kernel[1];
    move |row, column, value| {
        let (place, channel) = (row / inputs, row % inputs);
        weight[((group * outputs + column) * inputs + channel) * area + place] = value;
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

/// The weights as `[out_channels, kernel, in_channels]`.
fn by_output<T: SimdReal>(conv: &Convolution, filter: &Filter<'_, T>, group: usize) -> Aligned<T> {
    let (inputs, window) = (conv.group_inputs(), conv.window());
    let mut out = Aligned::zeros(window * conv.group_outputs());
    for (output, line) in out.chunks_exact_mut(window).enumerate() {
        for (row, value) in line.iter_mut().enumerate() {
            *value = filter.at(conv, group, output, row % inputs, row / inputs);
        }
    }
    out
}

/// The weights as `[kernel places of the phase · out_channels, in_channels]`, in panels.
fn by_input<T: SimdReal>(
    conv: &Convolution,
    filter: &Filter<'_, T>,
    group: usize,
    phase: &Phase,
    layout: &PanelLayout,
) -> Aligned<T> {
    let outputs = conv.group_outputs();
    layout.pack(|row, input| {
        let [ky, kx] = phase.places[row / outputs];
        filter.at(conv, group, row % outputs, input, ky * conv.kernel[1] + kx)
    })
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
        let image = pass.operands.image;
        let first_conv = pass.block.first.as_ref().unwrap_or(conv);
        let input_size = first_conv.group_inputs() * image[0] * image[1];
        let outputs = conv.group_outputs();
        let output_size = outputs * pass.output[0] * pass.output[1];
        let mut sums = pass.empty_sums();
        let mut scratch = Scratch::new(pass);
        let units = self.images.start * conv.groups..self.images.end * conv.groups;
        for (i, unit) in units.enumerate() {
            let group = unit % conv.groups;
            let planes = &pass.operands.input[unit * input_size..][..input_size];
            if let Some(First { stage, .. }) = &pass.first {
                let Scratch {
                    input,
                    pixels,
                    first,
                    ..
                } = &mut scratch;
                to_pixels(planes, image, &stage.grid, input);
                stage.run(simd, 0, true, input, first, &pass.grid, pixels);
            } else {
                to_pixels(planes, image, &pass.grid, &mut scratch.pixels);
            }
            let incoming = Incoming::new(pass, unit, output_size);
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
            if let Some(first) = &pass.first {
                into_first(simd, first, &mut scratch, &mut sums);
            } else if pass.needs_pixels {
                let out = &mut self.input[i * input_size..][..input_size];
                to_planes(&scratch.pixels_gradient, image, &pass.grid, out, |x| x);
            }
        }
        sums
    }
}

/// The memory of a job.
struct Scratch<T> {
    /// The input of the first convolution, as pixels.
    input: Aligned<T>,
    first: Option<super::winograd::Scratch<T>>,
    /// The input of the convolution, as pixels.
    pixels: Aligned<T>,
    pixels_gradient: Aligned<T>,
    /// The gradient of the convolution's result, as planes.
    planes: Vec<T>,
    /// The same as pixels with a border.
    gradient: Aligned<T>,
    lists: Lists<T>,
}

impl<T: SimdReal> Scratch<T> {
    fn new(pass: &Pass<'_, T>) -> Self {
        let first = pass.first.as_ref().map(|first| &first.stage);
        Self {
            input: Aligned::zeros(first.map_or(0, |stage| stage.grid.len)),
            first: first.and_then(Stage::scratch),
            pixels: Aligned::zeros(pass.grid.len),
            pixels_gradient: Aligned::zeros(if pass.needs_pixels {
                pass.grid.len + SLACK
            } else {
                0
            }),
            planes: Vec::new(),
            gradient: Aligned::zeros(match &pass.route {
                Route::Dense { grid, .. } => grid.len + SLACK,
                Route::Sparse { .. } => 0,
            }),
            lists: Lists {
                entries: Vec::new(),
                ends: Vec::new(),
            },
        }
    }
}

/// What comes back to one image of one group.
struct Incoming<'a, T> {
    gradient: &'a [T],
    output: &'a [T],
    places: &'a [u8],
    scale: &'a [T],
}

impl<'a, T: SimdReal> Incoming<'a, T> {
    fn new(pass: &'a Pass<'_, T>, unit: usize, size: usize) -> Self {
        let outputs = pass.block.convolution.group_outputs();
        let range = unit * size..(unit + 1) * size;
        Self {
            gradient: &pass.gradient[range.clone()],
            output: &pass.kept.output[range.clone()],
            places: pass.kept.places.get(range).unwrap_or(&[]),
            scale: match pass.operands.scale {
                [] => &[],
                scale => &scale[unit * outputs..][..outputs],
            },
        }
    }

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
    let rows = pass.output[0];
    scratch.lists.fill(pass, pool, windows, incoming, bias);
    // A row of pooled pixels at a time: the pixels that their windows touch stay in the first-level cache while all
    // channels pass by.
    for row in 0..rows {
        for channel in 0..bias.len() {
            let entries = scratch.lists.entries(channel * rows + row);
            if entries.is_empty() {
                continue;
            }
            let line = channel * window..(channel + 1) * window;
            sparse::add_windows(
                simd,
                &scratch.pixels,
                entries,
                &windows.segments,
                &mut weight[line.clone()],
            );
            if pass.needs_pixels {
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

/// The pixels of an image that have a gradient, by channel and row of pooled pixels.
struct Lists<T> {
    entries: Vec<Entry<T>>,
    /// Where the list of each channel and row ends.
    ends: Vec<usize>,
}

impl<T: SimdReal> Lists<T> {
    /// Lists the gradients of all channels, and adds them to `bias`.
    #[inline(always)]
    fn fill(
        &mut self,
        pass: &Pass<'_, T>,
        pool: &PoolWindows,
        windows: &Windows,
        incoming: &Incoming<'_, T>,
        bias: &mut [f64],
    ) {
        let [rows, columns] = pass.output;
        self.entries
            .resize(bias.len() * rows * columns + 1, Entry::default());
        self.ends.clear();
        let mut taken = 0;
        let lines = incoming
            .gradient
            .chunks_exact(columns)
            .zip(incoming.places.chunks_exact(columns));
        for (line, (gradient, places)) in lines.enumerate() {
            let (channel, row) = (line / rows, line % rows);
            let scale = incoming.scale(channel);
            if scale != T::ZERO {
                let mut total = T::ZERO;
                for (x, (gradient, place)) in gradient.iter().zip(places).enumerate() {
                    // Written always and kept if it counts: which of them do is not predictable.
                    let passes = *place != NOWHERE;
                    let gradient = *gradient * scale;
                    let pixel = pool.pixel(row * columns + x, if passes { *place } else { 0 });
                    self.entries[taken] = Entry {
                        source: windows.sources[pixel],
                        gradient,
                    };
                    total += if passes { gradient } else { T::ZERO };
                    taken += usize::from(passes & (gradient != T::ZERO));
                }
                bias[channel] += total.to_f64();
            }
            self.ends.push(taken);
        }
    }

    /// The list of that number.
    #[inline(always)]
    fn entries(&self, list: usize) -> &[Entry<T>] {
        let start = list.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.entries[start..self.ends[list]]
    }
}

/// The gradients of the first convolution, given those of the pixels behind it.
#[inline(always)]
fn into_first<T: SimdReal, S: Simd>(
    simd: S,
    first: &First<T>,
    scratch: &mut Scratch<T>,
    sums: &mut Sums<T>,
) {
    let pixels = &scratch.pixels;
    // The border, too, is 0 before and behind the ReLU.
    for (gradient, value) in scratch.pixels_gradient.iter_mut().zip(pixels.iter()) {
        *gradient = if *value > T::ZERO { *gradient } else { T::ZERO };
    }
    let channels = first.stage.conv.out_channels;
    let mut totals = vec![T::ZERO; channels];
    for pixel in scratch.pixels_gradient[..pixels.len()].chunks_exact(channels) {
        for (total, gradient) in totals.iter_mut().zip(pixel) {
            *total += *gradient;
        }
    }
    for (sum, total) in sums.first_bias.iter_mut().zip(totals) {
        *sum += total.to_f64();
    }
    weight_gradient::accumulate(
        simd,
        &scratch.input,
        &first.windows,
        &first.offsets,
        &scratch.pixels_gradient,
        &first.layout,
        &mut sums.first_weight,
    );
}
