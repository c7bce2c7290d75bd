//! Gradients of weights and pixels by products of matrices over all pixels of the output.
//!
//! The gradient of the weights is the product of the windows of the input and the gradient of the output. The gradient of
//! the pixels is a convolution of the gradient of the output, with a border of zeros, by the weights turned around: one
//! product for each [`Phase`] of the stride.

use dml_core::kernels::SimdReal;
use dml_core::kernels::aligned::Aligned;
use pulp::Simd;

use super::job::Scratch;
use super::output_gradient::OutputGradient;
use super::pass::Pass;
use crate::kernels::conv2d::multiply::{Epilogue, multiply};
use crate::kernels::conv2d::panels::{PanelLayout, Tiling};
use crate::kernels::conv2d::pixel_grid::PixelGrid;
use crate::kernels::conv2d::planes::to_pixels;
use crate::kernels::conv2d::pool::PoolWindows;
use crate::kernels::conv2d::weight_gradient;
use crate::kernels::conv2d::windows::{Phase, Windows, gradient_border};
use crate::kernels::conv2d::{Block, Convolution, Filter};

/// The windows and weights of the dense route.
pub(super) struct Dense<T> {
    /// Pixels of the output's gradient, with a border.
    pub(super) grid: PixelGrid,
    /// Layout of the gradient of the weights.
    pub(super) layout: PanelLayout,
    /// Windows from the input to the output's gradient.
    windows: Windows,
    offsets: Vec<usize>,
    pool: Option<PoolWindows>,
    /// The products that give the gradient of the pixels; none if it is not needed.
    phases: Vec<PhaseProduct<T>>,
}

/// The product that gives the gradient of the pixels of a phase.
struct PhaseProduct<T> {
    windows: Windows,
    layout: PanelLayout,
    /// Per group, `[kernel places of the phase · out_channels, in_channels]`, in panels.
    weights: Vec<Aligned<T>>,
}

impl<T: SimdReal> Dense<T> {
    /// `image` and `input` are the size and the pixels that the convolution reads.
    pub(super) fn new(
        block: &Block,
        filter: &Filter<'_, T>,
        (image, input): ([usize; 2], &PixelGrid),
        full: [usize; 2],
        needs_pixels: bool,
        tiling: Tiling,
    ) -> Self {
        let conv = &block.convolution;
        let grid = gradient_grid(conv, image, full);
        let windows = Windows::of_outputs(conv, full, input, &grid);
        let phases = if needs_pixels {
            Phase::all(conv, image, &grid, input)
        } else {
            Vec::new()
        };
        let product = |phase: Phase| {
            let layout = PanelLayout::new(phase.windows.rows(), conv.group_inputs(), tiling);
            PhaseProduct {
                weights: (0..conv.groups)
                    .map(|group| phase_weights(conv, filter, group, &phase, &layout))
                    .collect(),
                windows: phase.windows,
                layout,
            }
        };
        Self {
            layout: PanelLayout::new(conv.window(), conv.group_outputs(), tiling),
            offsets: windows.offsets(),
            windows,
            pool: block.pooling.as_ref().map(|p| PoolWindows::new(p, full)),
            phases: phases.into_iter().map(product).collect(),
            grid,
        }
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
        gradient.expand(pass, self.pool.as_ref(), &mut scratch.planes);
        let area = pass.full[0] * pass.full[1];
        for (bias, plane) in bias.iter_mut().zip(scratch.planes.chunks_exact(area)) {
            *bias += sum(plane);
        }
        to_pixels(
            &scratch.planes,
            pass.full,
            &self.grid,
            &mut scratch.gradient,
        );
        weight_gradient::accumulate(
            simd,
            &scratch.pixels,
            &self.windows,
            &self.offsets,
            &scratch.gradient,
            &self.layout,
            weight,
        );
        for phase in &self.phases {
            let nothing = Epilogue {
                bias: &[],
                relu: false,
            };
            multiply(
                simd,
                &scratch.gradient,
                &phase.windows,
                &phase.layout,
                &phase.weights[group],
                nothing,
                &mut scratch.pixels_gradient,
            );
        }
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

/// The pixels of the output's gradient, with a border of zeros wherever a window of the input's gradient reaches.
fn gradient_grid(conv: &Convolution, image: [usize; 2], full: [usize; 2]) -> PixelGrid {
    let border = gradient_border(conv);
    let [height, width] = [0, 1].map(|axis| {
        let last = (image[axis] - 1 + conv.padding[axis]) / conv.stride[axis];
        border[axis] + full[axis].max(last + 1)
    });
    PixelGrid {
        channels: conv.group_outputs(),
        row: width,
        origin: (border[0] * width + border[1]) * conv.group_outputs(),
        len: height * width * conv.group_outputs(),
    }
}

/// The weights of a group as `[kernel places of the phase · out_channels, in_channels]`, in panels.
fn phase_weights<T: SimdReal>(
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
