//! The backward pass: gradients of the input, the weights and the bias, one image of one group at a time.
//!
//! | module | what is in it |
//! |---|---|
//! | `pass` | what all images share: the sizes, the weights in the order that they are read in, the way through the output |
//! | `job` | the gradients of a run of images, in scratch memory of its own |
//! | `dense`, `pooled` | the two ways from the gradient of the output to those of the weights and the pixels |
//! | `first` | the convolution before, which is computed again |
//! | `sums` | the gradients of parameters that a job has summed, and their sum over jobs |

mod dense;
mod first;
mod job;
mod output_gradient;
mod pass;
mod pooled;
mod sums;

use pulp::Arch;
use rayon::prelude::*;

use super::forward::Kept;
use super::{Block, Convolution, Operands};
use dml_core::kernels::SimdReal;
use dml_core::kernels::in_place::InPlace;
use dml_core::kernels::lengths;
use job::Job;
use pass::Pass;
use sums::Sums;

/// The gradients of a [`Block`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gradients<T> {
    /// As the input; empty if it is not needed.
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

/// Least number of images that a job sums.
const IMAGES: usize = 4;
/// Most jobs that the images are cut into.
const MAX_JOBS: usize = 32;
/// Bytes that the sums of all jobs may take together, if there are more than [`LARGE_JOBS`].
const SUMS_BYTES: usize = 64 << 20;
/// Number of jobs for large weights, whose sums take more.
const LARGE_JOBS: usize = 4;

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
    let run = images.div_ceil(jobs(images, size_of_val(operands.filter.weight)));
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
    sums::add_up(&pass, &sums, &mut gradients);
    gradients
}

/// The number of jobs that the images are cut into, given the bytes of the weights. It does not depend on the number of
/// threads, and so the sums don't.
fn jobs(images: usize, weight_bytes: usize) -> usize {
    let affordable = (SUMS_BYTES / weight_bytes.max(1)).max(LARGE_JOBS);
    images.div_ceil(IMAGES).min(MAX_JOBS).min(affordable).max(1)
}
