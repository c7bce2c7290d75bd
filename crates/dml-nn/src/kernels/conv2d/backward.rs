//! The backward pass, one image of one group at a time: gradients of the input, the weights and the bias.

mod job;

use pulp::Arch;
use rayon::prelude::*;

use super::forward::Kept;
use super::panels::{PanelLayout, Tiling};
use super::pool::PoolWindows;
use super::sparse;
use super::stage::Stage;
use super::windows::{Grid, Phase, Windows, gradient_border};
use super::{Block, Convolution, Filter, Operands};
use dml_core::kernels::SimdReal;
use dml_core::kernels::aligned::Aligned;
use dml_core::kernels::in_place::InPlace;
use dml_core::kernels::lengths;
use job::Job;

/// The gradients of a [`Block`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gradients<T> {
    /// As the input; empty if it was not asked for.
    pub(crate) input: Vec<T>,
    /// As weights and bias of the first convolution; empty if there is none.
    pub(crate) first: FilterGradient<T>,
    /// As weights and bias of the convolution.
    pub(crate) filter: FilterGradient<T>,
}

/// The gradients of the parameters of a convolution.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FilterGradient<T> {
    /// As the weights.
    pub(crate) weight: Vec<T>,
    /// `[out_channels]`.
    pub(crate) bias: Vec<T>,
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

/// Gradients of a block, given the gradient of its result.
///
/// `kept` is of what [`forward`](super::forward) returned for the same operands.
///
/// # Panics
/// If a size does not fit the others.
#[must_use]
pub(crate) fn backward<T: SimdReal>(
    block: &Block,
    operands: &Operands<'_, T>,
    kept: Kept<'_, T>,
    gradient: &[T],
    needs_input: bool,
) -> Gradients<T> {
    let images = block.check(operands);
    let len = block.output_len(operands.image, images);
    lengths::length("gradient", gradient.len(), len);
    lengths::length("kept.output", kept.output.len(), len);
    let places = if block.pooling.is_some() { len } else { 0 };
    lengths::length("kept.places", kept.places.len(), places);
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
            .map_in_place(|(number, input)| job(number, input))
    } else {
        (0..images.div_ceil(run))
            .into_par_iter()
            .map_in_place(|number| job(number, &mut []))
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
    total
        .par_chunks_mut(RUN)
        .enumerate()
        .for_each_in_place(|(i, out)| {
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
