//! Each row of a matrix divided by a number of its own.

use candle_core::Tensor;
use dml_kernels::divided_rows as kernel;

use crate::autograd::{self, has_kernel, with_slice};
use crate::{Error, Result, for_element};

pub(super) fn divide_rows(x: &Tensor, divisors: &Tensor) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    if divisors.dims() != [rows] {
        return Err(Error::Shape {
            arg: "divisors",
            expected: "[rows], one for each row",
            got: divisors.dims().to_vec(),
        });
    }
    if !has_kernel(x) || x.dtype() != divisors.dtype() {
        return divide_rows_composite(x, divisors);
    }
    for_element!(x, "x", |T| {
        let value = with_slice(x, |x: &[T]| {
            with_slice(divisors, |d: &[T]| kernel::divided_rows(x, d, width))
        })??;
        autograd::binary(
            "divide_rows",
            x,
            divisors,
            value,
            (rows, width),
            move |x, divisors, value, gradient| {
                with_slice(gradient, |g: &[T]| {
                    with_slice(divisors, |d: &[T]| {
                        let of_x = kernel::divided_rows(g, d, width);
                        let of_divisors =
                            with_slice(value, |y: &[T]| kernel::divisor_gradient(y, g, d, width))?;
                        Ok((
                            Tensor::from_vec(of_x, x.shape(), x.device())?,
                            Tensor::from_vec(of_divisors, divisors.shape(), x.device())?,
                        ))
                    })
                })??
            },
        )
    })
}

pub(super) fn divide_rows_composite(x: &Tensor, divisors: &Tensor) -> Result<Tensor> {
    Ok(x.broadcast_div(&divisors.unsqueeze(1)?)?)
}
