//! Convolutions of many channels as nodes of Candle's graph, computed on channel planes.

use candle_core::Tensor;
use dml_core::autograd::{Element, host_node, if_tracked, with_slice, with_slices};
use dml_core::kernels::SimdReal;
use dml_core::{Result, for_element};

use crate::kernels::plane_conv2d::{self as kernel, Finish, Problem};
use crate::{Conv2d, pixels};

/// The output of a convolution of a tensor that [has kernels](dml_core::autograd::has_kernel).
pub(crate) fn forward(conv: &Conv2d, input: &Tensor) -> Result<Tensor> {
    for_element!(input, "input", |T| node::<T>(conv, input))
}

/// The output outside of the graph, with every plane of it finished.
pub(crate) fn finished<T: Element + SimdReal>(
    conv: &Conv2d,
    input: &Tensor,
    finish: &Finish<'_, T>,
) -> Result<Tensor> {
    let problem = problem(conv, input)?;
    let value = |bias: &[T]| {
        with_slice(input, |input: &[T]| {
            with_slice(conv.weight(), |weight: &[T]| {
                kernel::forward_finished(&problem, input, weight, bias, Some(finish))
            })
        })?
    };
    let value = match conv.bias() {
        None => value(&[])?,
        Some(bias) => with_slice(bias, value)??,
    };
    Ok(Tensor::from_vec(value, shape(&problem), input.device())?)
}

fn problem(conv: &Conv2d, input: &Tensor) -> Result<Problem> {
    let size @ [batch, _, height, width] = pixels::image_batch(input)?;
    Ok(Problem {
        conv: *conv.convolution(),
        batch,
        image: [height, width],
        output: conv.output(size)?,
    })
}

fn shape(problem: &Problem) -> (usize, usize, usize, usize) {
    let [rows, columns] = problem.output;
    (problem.batch, problem.conv.out_channels, rows, columns)
}

fn node<T: Element + SimdReal>(conv: &Conv2d, input: &Tensor) -> Result<Tensor> {
    let problem = problem(conv, input)?;
    let shape = shape(&problem);
    let none = Tensor::zeros(0, input.dtype(), input.device())?;
    let bias = conv.bias().map_or(&none, |bias| bias.as_tensor());
    let inputs = [input, conv.weight().as_tensor(), bias];
    let value = with_slices(inputs, |[input, weight, bias]: [&[T]; 3]| {
        kernel::forward(&problem, input, weight, bias)
    })?;
    host_node("conv2d", inputs, value, shape, move |inputs, _, g| {
        let [input, weight, bias] = inputs;
        with_slices([input, weight, g], |[x, w, g]: [&[T]; 3]| {
            [
                if_tracked(input, || kernel::input_gradient(&problem, w, g)),
                if_tracked(weight, || kernel::weight_gradient(&problem, x, g)),
                if_tracked(bias, || kernel::bias_gradient(&problem, g)),
            ]
        })
    })
}
