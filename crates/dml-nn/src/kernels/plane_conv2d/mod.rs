//! Two-dimensional convolution of channel planes, forward and backward, for the layers of deep networks.
//!
//! ```text
//! y[n,o,i,j] = bias[o] + Σ_(c,a,b) weight[o,c,a,b] · x[n, c, i·stride + a·dilation − padding, …]
//! ```
//!
//! Vectors run along the pixels of a plane, so tensors `[batch, channels, height, width]` are read and written as they lie.
//! [`conv2d`](super::conv2d) computes the same on channels-last pixels, fused with its neighbours, and is faster where
//! channels are few.
//!
//! | module | what it computes |
//! |---|---|
//! | [`depthwise`] | one input channel per group: each plane by itself |
//! | [`winograd`] | 3 × 3 windows with stride 1 in single precision: four outputs from 16 products instead of 36 |
//! | [`product`] | anything else: weights times columns of windows, a cache-sized block of columns at a time |
//! | [`input_gradient`] | transposed weights times gradient, scattered to the windows, where a stride or a wide border forbids to compute it as a convolution |
//! | [`weight_gradient`] | gradient times columns, summed over pixels |
//!
//! Work is cut by the shapes alone and sums run in a fixed order, so results do not depend on the number of threads.

pub(crate) mod columns;
mod depthwise;
mod input_gradient;
mod parts;
pub(crate) mod phase_planes;
mod product;
mod weight_gradient;
mod winograd;

use dml_core::kernels::in_place::InPlace;
use dml_core::kernels::{SimdReal, lengths};
use rayon::prelude::*;

use super::conv2d::Convolution;
use parts::{InParts, Part, parts};

/// A convolution of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Problem {
    /// Sizes of the convolution.
    pub(crate) conv: Convolution,
    /// Number of images.
    pub(crate) batch: usize,
    /// Height and width of the input.
    pub(crate) image: [usize; 2],
    /// Height and width of the output.
    pub(crate) output: [usize; 2],
}

impl Problem {
    fn image_area(&self) -> usize {
        self.image[0] * self.image[1]
    }

    fn output_area(&self) -> usize {
        self.output[0] * self.output[1]
    }

    fn input_len(&self) -> usize {
        let area = lengths::area("image", self.image[0], self.image[1]);
        let area = lengths::area("image", self.conv.in_channels, area);
        lengths::area("input", self.batch, area)
    }

    fn output_len(&self) -> usize {
        let area = lengths::area("output", self.output[0], self.output[1]);
        let area = lengths::area("output", self.conv.out_channels, area);
        lengths::area("output", self.batch, area)
    }

    fn is_depthwise(&self) -> bool {
        self.conv.groups > 1 && self.conv.group_inputs() == 1
    }

    fn check(&self, weight: usize) {
        let conv = &self.conv;
        assert!(conv.groups > 0, "groups: expected at least 1, got 0");
        lengths::rows("in_channels", conv.in_channels, conv.groups);
        lengths::rows("out_channels", conv.out_channels, conv.groups);
        lengths::length("weight", weight, conv.out_channels * conv.window());
    }

    /// The convolution of the output's gradient by the mirrored window that is the input's gradient, if it is one.
    fn mirrored(&self) -> Option<Self> {
        let conv = &self.conv;
        if conv.stride != [1, 1] {
            return None;
        }
        let border = |axis: usize| {
            (conv.dilation[axis] * (conv.kernel[axis] - 1)).checked_sub(conv.padding[axis])
        };
        let mirrored = Convolution {
            in_channels: conv.out_channels,
            out_channels: conv.in_channels,
            padding: [border(0)?, border(1)?],
            ..*conv
        };
        Some(Self {
            conv: mirrored,
            batch: self.batch,
            image: self.output,
            output: self.image,
        })
    }
}

/// The weights of a convolution, or those of the convolution that computes its input's gradient.
#[derive(Clone, Copy, Debug)]
struct Weights<'a, T> {
    /// `[out_channels, in_channels / groups, kernel height, kernel width]` of the layer.
    weight: &'a [T],
    /// The layer.
    conv: &'a Convolution,
    /// Whether inputs and outputs are exchanged and windows mirrored.
    mirrored: bool,
}

impl<T: Copy> Weights<'_, T> {
    /// The weight of an output and an input of a group at a place of the window.
    #[inline(always)]
    fn at(&self, group: usize, output: usize, input: usize, place: usize) -> T {
        let conv = self.conv;
        let places = conv.kernel[0] * conv.kernel[1];
        let (output, input, place) = if self.mirrored {
            (input, output, places - 1 - place)
        } else {
            (output, input, place)
        };
        let row = (group * conv.group_outputs() + output) * conv.group_inputs() + input;
        self.weight[row * places + place]
    }
}

/// The output `[batch, out_channels, height, width]`; `bias` may be empty.
///
/// # Panics
/// If a length does not fit the sizes.
#[must_use]
pub(crate) fn forward<T: SimdReal>(
    problem: &Problem,
    input: &[T],
    weight: &[T],
    bias: &[T],
) -> Vec<T> {
    forward_finished(problem, input, weight, bias, None)
}

/// What is done to a plane of the output while it is in the cache: `finish(place, channel, plane)` gets the place of its first
/// number in the output.
pub(crate) type Finish<'a, T> = dyn Fn(usize, usize, &mut [T]) + Sync + 'a;

/// As [`forward`], with every plane of the output finished.
///
/// # Panics
/// If a length does not fit the sizes.
#[must_use]
pub(crate) fn forward_finished<T: SimdReal>(
    problem: &Problem,
    input: &[T],
    weight: &[T],
    bias: &[T],
    finish: Option<&Finish<'_, T>>,
) -> Vec<T> {
    problem.check(weight.len());
    lengths::length("input", input.len(), problem.input_len());
    if !bias.is_empty() {
        lengths::length("bias", bias.len(), problem.conv.out_channels);
    }
    let weights = Weights {
        weight,
        conv: &problem.conv,
        mirrored: false,
    };
    convolve(problem, input, &weights, bias, finish)
}

fn convolve<T: SimdReal>(
    problem: &Problem,
    input: &[T],
    weights: &Weights<'_, T>,
    bias: &[T],
    finish: Option<&Finish<'_, T>>,
) -> Vec<T> {
    let mut out = dml_core::kernels::zeros(problem.output_len());
    if out.is_empty() {
        return out;
    }
    if !weights.mirrored && problem.is_depthwise() {
        depthwise::forward(problem, input, weights.weight, bias, finish, &mut out);
    } else if winograd::fits::<T>(problem) {
        winograd::forward(problem, input, weights, bias, finish, &mut out);
    } else {
        product::forward(problem, input, weights, bias, finish, &mut out);
    }
    out
}

/// The gradient of the input, given that of the output.
///
/// # Panics
/// If a length does not fit the sizes.
#[must_use]
pub(crate) fn input_gradient<T: SimdReal>(
    problem: &Problem,
    weight: &[T],
    gradient: &[T],
) -> Vec<T> {
    problem.check(weight.len());
    lengths::length("gradient", gradient.len(), problem.output_len());
    let conv = &problem.conv;
    if problem.is_depthwise() {
        let places = conv.window();
        let weight = |output: usize, place: usize| weight[output * places + place];
        let mut out = dml_core::kernels::zeros(problem.input_len());
        depthwise::input_gradient(problem, weight, gradient, &mut out);
        return out;
    }
    let mirrored = true;
    let weights = Weights {
        weight,
        conv,
        mirrored,
    };
    if let Some(problem) = problem.mirrored() {
        return convolve(&problem, gradient, &weights, &[], None);
    }
    let mut out = dml_core::kernels::zeros(problem.input_len());
    input_gradient::scatter(problem, weight, gradient, &mut out);
    out
}

/// The gradient of the weights, given that of the output.
///
/// # Panics
/// If a length does not fit the sizes.
#[must_use]
pub(crate) fn weight_gradient<T: SimdReal>(
    problem: &Problem,
    input: &[T],
    gradient: &[T],
) -> Vec<T> {
    lengths::length("input", input.len(), problem.input_len());
    lengths::length("gradient", gradient.len(), problem.output_len());
    let mut out = vec![T::ZERO; problem.conv.out_channels * problem.conv.window()];
    if gradient.is_empty() || input.is_empty() {
        return out;
    }
    if problem.is_depthwise() {
        depthwise::weight_gradient(problem, input, gradient, &mut out);
    } else if winograd::fits::<T>(problem) {
        winograd::weight_gradient(problem, input, gradient, &mut out);
    } else {
        weight_gradient::by_columns(problem, input, gradient, &mut out);
    }
    out
}

/// The gradient of the bias, given that of the output: the sum of each channel.
#[must_use]
pub(crate) fn bias_gradient<T: SimdReal>(problem: &Problem, gradient: &[T]) -> Vec<T> {
    lengths::length("gradient", gradient.len(), problem.output_len());
    let (channels, area) = (problem.conv.out_channels, problem.output_area());
    (0..channels).into_par_iter().map_in_place(|channel| {
        let planes = (0..problem.batch).map(|image| {
            let plane = &gradient[(image * channels + channel) * area..][..area];
            dml_core::kernels::sum(plane)
        });
        T::from_f64(planes.sum())
    })
}

/// The sums of the windows of every plane: a depthwise convolution by ones.
#[must_use]
pub(crate) fn window_sums<T: SimdReal>(problem: &Problem, input: &[T]) -> Vec<T> {
    lengths::length("input", input.len(), problem.input_len());
    let mut out = dml_core::kernels::zeros(problem.output_len());
    if !out.is_empty() {
        depthwise::convolve(problem, input, |_, _| T::ONE, &[], None, &mut out);
    }
    out
}

/// The gradient of the input of [`window_sums`].
#[must_use]
pub(crate) fn window_sums_backward<T: SimdReal>(problem: &Problem, gradient: &[T]) -> Vec<T> {
    lengths::length("gradient", gradient.len(), problem.output_len());
    let mut out = dml_core::kernels::zeros(problem.input_len());
    depthwise::input_gradient(problem, |_, _| T::ONE, gradient, &mut out);
    out
}

/// Images whose columns are multiplied together: one, or where images are small so many that there are `least` columns.
fn run(problem: &Problem, least: usize) -> usize {
    if problem.conv.groups > 1 {
        return 1;
    }
    least
        .div_ceil(problem.output_area().max(1))
        .min(problem.batch)
        .max(1)
}

#[cfg(test)]
mod tests;
