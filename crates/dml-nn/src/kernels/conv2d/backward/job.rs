//! The gradients of a run of images.

use dml_core::kernels::SimdReal;
use dml_core::kernels::aligned::Aligned;
use pulp::{Simd, WithSimd};

use super::output_gradient::OutputGradient;
use super::pass::{Pass, Route};
use super::pooled::GradientLists;
use super::sums::Sums;
use crate::kernels::conv2d::planes::{to_pixels, to_planes};
use crate::kernels::conv2d::stage::Stage;
use crate::kernels::conv2d::weight_gradient::SLACK;
use crate::kernels::conv2d::winograd;

/// The backward pass of some images, one image of one group after the other.
pub(super) struct Job<'a, T> {
    pub(super) pass: &'a Pass<'a, T>,
    pub(super) images: std::ops::Range<usize>,
    /// The gradient of their input, to be written; empty if it is not needed.
    pub(super) input: &'a mut [T],
}

/// The memory of a job for one image of one group.
pub(super) struct Scratch<T> {
    /// The input of the first convolution, as pixels.
    pub(super) input: Aligned<T>,
    pub(super) first: Option<winograd::Scratch<T>>,
    /// The input of the convolution, as pixels.
    pub(super) pixels: Aligned<T>,
    /// The gradient of these pixels.
    pub(super) pixels_gradient: Aligned<T>,
    /// The gradient of the convolution's result, as planes.
    pub(super) planes: Vec<T>,
    /// The gradient of the convolution's result, as pixels with a border.
    pub(super) gradient: Aligned<T>,
    pub(super) lists: GradientLists<T>,
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
        let mut sums = Sums::zeros(pass);
        let mut scratch = Scratch::new(pass);
        let units = self.images.start * conv.groups..self.images.end * conv.groups;
        for (i, unit) in units.enumerate() {
            let group = unit % conv.groups;
            let planes = &pass.operands.input[unit * input_size..][..input_size];
            match &pass.first {
                Some(first) => first.forward(simd, planes, image, &pass.grid, &mut scratch),
                None => to_pixels(planes, image, &pass.grid, &mut scratch.pixels),
            }
            let gradient = OutputGradient::new(pass, unit);
            let bias = &mut sums.bias[group * outputs..][..outputs];
            let weight = &mut sums.weight[group];
            match &pass.route {
                Route::Dense(dense) => {
                    dense.backward(simd, pass, &gradient, group, &mut scratch, weight, bias);
                }
                Route::Pooled(pooled) => {
                    pooled.backward(simd, pass, &gradient, group, &mut scratch, weight, bias);
                }
            }
            if let Some(first) = &pass.first {
                first.backward(simd, &mut scratch, &mut sums);
            } else if pass.needs_pixels {
                let out = &mut self.input[i * input_size..][..input_size];
                to_planes(&scratch.pixels_gradient, image, &pass.grid, out, |x| x);
            }
        }
        sums
    }
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
                Route::Dense(dense) => dense.grid.len + SLACK,
                Route::Pooled(_) => 0,
            }),
            lists: GradientLists::default(),
        }
    }
}
