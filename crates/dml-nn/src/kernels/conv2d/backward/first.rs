//! The convolution that comes first in a block: computed again, and then given its gradients.

use dml_core::kernels::SimdReal;
use pulp::Simd;

use super::job::Scratch;
use super::sums::Sums;
use crate::kernels::conv2d::panels::{PanelLayout, Tiling};
use crate::kernels::conv2d::pixel_grid::PixelGrid;
use crate::kernels::conv2d::planes::to_pixels;
use crate::kernels::conv2d::stage::Stage;
use crate::kernels::conv2d::weight_gradient;
use crate::kernels::conv2d::windows::Windows;
use crate::kernels::conv2d::{Convolution, Filter};

/// The forward pass of the first convolution, and the windows of its weights' gradient.
pub(super) struct First<T> {
    pub(super) stage: Stage<T>,
    /// Layout of the gradient of the weights.
    pub(super) layout: PanelLayout,
    /// Windows from the input to the pixels between the two convolutions.
    windows: Windows,
    offsets: Vec<usize>,
}

impl<T: SimdReal> First<T> {
    /// `inner` and `result` are the size and the pixels between the two convolutions.
    pub(super) fn new(
        conv: &Convolution,
        image: [usize; 2],
        inner: [usize; 2],
        filter: &Filter<'_, T>,
        result: &PixelGrid,
        tiling: Tiling,
    ) -> Self {
        let stage = Stage::new(conv, image, inner, filter, result);
        let windows = Windows::of_outputs(conv, inner, &stage.grid, result);
        Self {
            offsets: windows.offsets(),
            windows,
            layout: PanelLayout::new(conv.window(), conv.out_channels, tiling),
            stage,
        }
    }

    /// Writes the pixels that the second convolution reads, given the planes of the input.
    #[inline(always)]
    pub(super) fn forward<S: Simd>(
        &self,
        simd: S,
        planes: &[T],
        image: [usize; 2],
        result: &PixelGrid,
        scratch: &mut Scratch<T>,
    ) {
        let Scratch {
            input,
            pixels,
            first,
            ..
        } = scratch;
        to_pixels(planes, image, &self.stage.grid, input);
        self.stage.run(simd, 0, true, input, first, result, pixels);
    }

    /// Adds the gradients of weights and bias, given those of the pixels behind the convolution.
    #[inline(always)]
    pub(super) fn backward<S: Simd>(&self, simd: S, scratch: &mut Scratch<T>, sums: &mut Sums<T>) {
        let pixels = &scratch.pixels;
        // The border, too, is 0 before and behind the ReLU.
        for (gradient, value) in scratch.pixels_gradient.iter_mut().zip(pixels.iter()) {
            *gradient = if *value > T::ZERO { *gradient } else { T::ZERO };
        }
        let channels = self.stage.conv.out_channels;
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
            &self.windows,
            &self.offsets,
            &scratch.pixels_gradient,
            &self.layout,
            &mut sums.first_weight,
        );
    }
}
