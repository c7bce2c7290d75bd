//! Gradients of weights and pixels behind a max pooling, from lists of the pixels that have a gradient.
//!
//! At most one pixel of a 2 × 2 window has a gradient. For each of them, its window of the input is added to the gradient of
//! the weights of its channel, and these weights to the gradient of the window.

use dml_core::kernels::SimdReal;
use dml_core::kernels::aligned::Aligned;
use pulp::Simd;

use super::job::Scratch;
use super::output_gradient::OutputGradient;
use super::pass::Pass;
use crate::kernels::conv2d::panels::Tiling;
use crate::kernels::conv2d::pixel_grid::PixelGrid;
use crate::kernels::conv2d::pool::{NOWHERE, PoolWindows};
use crate::kernels::conv2d::sparse::{self, Entry};
use crate::kernels::conv2d::windows::Windows;
use crate::kernels::conv2d::{Block, Convolution, Filter};

/// The windows and weights of the pooled route.
pub(super) struct Pooled<T> {
    pool: PoolWindows,
    windows: Windows,
    /// Per group, `[out_channels, window]`.
    weights: Vec<Aligned<T>>,
}

impl<T: SimdReal> Pooled<T> {
    /// `None` without pooling, and for windows whose pieces do not fill vector registers.
    pub(super) fn new(
        block: &Block,
        filter: &Filter<'_, T>,
        input: &PixelGrid,
        full: [usize; 2],
        tiling: Tiling,
    ) -> Option<Self> {
        let conv = &block.convolution;
        let pooling = block.pooling.as_ref()?;
        let result = PixelGrid::padded(full, [0, 0], conv.group_outputs());
        let windows = Windows::of_outputs(conv, full, input, &result);
        let weights = |group| weights_by_output(conv, filter, group);
        sparse::fits(&windows.segments, tiling.lanes).then(|| Self {
            pool: PoolWindows::new(pooling, full),
            windows,
            weights: (0..conv.groups).map(weights).collect(),
        })
    }

    /// Adds the gradients of one image to those of weight and bias, and writes those of its pixels.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn backward<S: Simd>(
        &self,
        simd: S,
        pass: &Pass<'_, T>,
        gradient: &OutputGradient<'_, T>,
        group: usize,
        scratch: &mut Scratch<T>,
        weight: &mut [T],
        bias: &mut [f64],
    ) {
        scratch.pixels_gradient.fill(T::ZERO);
        let window = pass.block.convolution.window();
        let rows = pass.output[0];
        scratch.lists.fill(pass, self, gradient, bias);
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
                    &self.windows.segments,
                    &mut weight[line.clone()],
                );
                if pass.needs_pixels {
                    sparse::scatter_weights(
                        simd,
                        &self.weights[group][line],
                        entries,
                        &self.windows.segments,
                        &mut scratch.pixels_gradient,
                    );
                }
            }
        }
    }
}

/// The pixels of an image that have a gradient, by channel and row of pooled pixels.
#[derive(Default)]
pub(super) struct GradientLists<T> {
    entries: Vec<Entry<T>>,
    /// Where the list of each channel and row ends.
    ends: Vec<usize>,
}

impl<T: SimdReal> GradientLists<T> {
    /// Lists the gradients of all channels, and adds them to `bias`.
    #[inline(always)]
    fn fill(
        &mut self,
        pass: &Pass<'_, T>,
        route: &Pooled<T>,
        gradient: &OutputGradient<'_, T>,
        bias: &mut [f64],
    ) {
        let [rows, columns] = pass.output;
        self.entries
            .resize(bias.len() * rows * columns + 1, Entry::default());
        self.ends.clear();
        let mut taken = 0;
        let lines = gradient
            .gradient
            .chunks_exact(columns)
            .zip(gradient.places.chunks_exact(columns));
        for (line, (gradients, places)) in lines.enumerate() {
            let (channel, row) = (line / rows, line % rows);
            let scale = gradient.scale(channel);
            if scale != T::ZERO {
                let mut total = T::ZERO;
                for (x, (gradient, place)) in gradients.iter().zip(places).enumerate() {
                    // Every entry is written, and kept if it has a gradient: a branch could not be predicted.
                    let passes = *place != NOWHERE;
                    let gradient = *gradient * scale;
                    let place = if passes { *place } else { 0 };
                    let pixel = route.pool.pixel(row * columns + x, place);
                    self.entries[taken] = Entry {
                        source: route.windows.sources[pixel],
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

/// The weights of a group as `[out_channels, kernel, in_channels]`.
fn weights_by_output<T: SimdReal>(
    conv: &Convolution,
    filter: &Filter<'_, T>,
    group: usize,
) -> Aligned<T> {
    let (inputs, window) = (conv.group_inputs(), conv.window());
    let mut out = Aligned::zeros(window * conv.group_outputs());
    for (output, line) in out.chunks_exact_mut(window).enumerate() {
        for (row, value) in line.iter_mut().enumerate() {
            *value = filter.at(conv, group, output, row % inputs, row / inputs);
        }
    }
    out
}
