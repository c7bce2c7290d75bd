//! Convolutions of many channels as nodes of Candle's graph, computed on channel planes.

use candle_core::Tensor;
use dml_core::autograd::{self, Element, with_slice};
use dml_core::kernels::SimdReal;
use dml_core::{Result, for_element};

use crate::kernels::plane_conv2d::{self as kernel, Problem};
use crate::{Conv2d, pixels};

/// The output of a convolution of a tensor that [has kernels](dml_core::autograd::has_kernel).
pub(crate) fn forward(conv: &Conv2d, input: &Tensor) -> Result<Tensor> {
    for_element!(input, "input", |T| node::<T>(conv, input))
}

fn node<T: Element + SimdReal>(conv: &Conv2d, input: &Tensor) -> Result<Tensor> {
    let size @ [batch, _, height, width] = pixels::image_batch(input)?;
    let problem = Problem {
        conv: *conv.convolution(),
        batch,
        image: [height, width],
        output: conv.output(size)?,
    };
    let [rows, columns] = problem.output;
    let shape = (batch, problem.conv.out_channels, rows, columns);
    let weight = conv.weight().as_tensor();
    let Some(bias) = conv.bias() else {
        let value = with_slice(input, |input: &[T]| {
            with_slice(weight, |weight: &[T]| {
                kernel::forward(&problem, input, weight, &[])
            })
        })??;
        let value = autograd::Value::host(value, shape)?;
        let backward = move |[input, weight]: [&Tensor; 2], _: &Tensor, gradient: &Tensor| {
            Ok([
                input_gradient::<T>(&problem, input, weight, gradient)?,
                weight_gradient::<T>(&problem, input, weight, gradient)?,
            ])
        };
        return autograd::node("conv2d", [input, weight], value, backward);
    };
    let bias = bias.as_tensor();
    let value = with_slice(input, |input: &[T]| {
        with_slice(weight, |weight: &[T]| {
            with_slice(bias, |bias: &[T]| {
                kernel::forward(&problem, input, weight, bias)
            })
        })
    })???;
    autograd::ternary(
        "conv2d",
        [input, weight, bias],
        value,
        shape,
        move |[input, weight, bias], _, gradient| {
            Ok([
                input_gradient::<T>(&problem, input, weight, gradient)?,
                weight_gradient::<T>(&problem, input, weight, gradient)?,
                bias_gradient::<T>(&problem, bias, gradient)?,
            ])
        },
    )
}

fn input_gradient<T: Element + SimdReal>(
    problem: &Problem,
    input: &Tensor,
    weight: &Tensor,
    gradient: &Tensor,
) -> Result<Option<Tensor>> {
    if !input.track_op() {
        return Ok(None);
    }
    let values = with_slice(weight, |weight: &[T]| {
        with_slice(gradient, |gradient: &[T]| {
            kernel::input_gradient(problem, weight, gradient)
        })
    })??;
    Ok(Some(Tensor::from_vec(
        values,
        input.shape(),
        input.device(),
    )?))
}

fn weight_gradient<T: Element + SimdReal>(
    problem: &Problem,
    input: &Tensor,
    weight: &Tensor,
    gradient: &Tensor,
) -> Result<Option<Tensor>> {
    if !weight.track_op() {
        return Ok(None);
    }
    let values = with_slice(input, |input: &[T]| {
        with_slice(gradient, |gradient: &[T]| {
            kernel::weight_gradient(problem, input, gradient)
        })
    })??;
    let shape = weight.shape();
    Ok(Some(Tensor::from_vec(values, shape, weight.device())?))
}

fn bias_gradient<T: Element + SimdReal>(
    problem: &Problem,
    bias: &Tensor,
    gradient: &Tensor,
) -> Result<Option<Tensor>> {
    if !bias.track_op() {
        return Ok(None);
    }
    let values = with_slice(gradient, |gradient: &[T]| {
        kernel::bias_gradient(problem, gradient)
    })?;
    Ok(Some(Tensor::from_vec(values, bias.shape(), bias.device())?))
}
