//! The inverse of a square matrix.

use candle_core::{DType, Tensor};
use dml_kernels::inverse as kernel;

use crate::autograd::{self, has_kernel, with_slice};
use crate::{Error, Result, for_element};

const SINGULAR: Error = Error::Unsupported {
    component: "TensorExt::inverse",
    reason: "the matrix is singular or not finite",
};

pub(super) fn inverse(x: &Tensor) -> Result<Tensor> {
    let (rows, columns) = x.dims2()?;
    if rows != columns {
        return Err(Error::Shape {
            arg: "x",
            expected: "[n, n]",
            got: x.dims().to_vec(),
        });
    }
    if !has_kernel(x) {
        return inverse_composite(x);
    }
    for_element!(x, "x", |T| {
        let value = with_slice(x, |x: &[T]| kernel::inverse(x, rows))?;
        let value = value.ok_or(SINGULAR)?;
        autograd::unary("inverse", x, value, (rows, rows), |_, y, gradient| {
            let turned = y.t()?;
            Ok(turned.matmul(gradient)?.matmul(&turned)?.neg()?)
        })
    })
}

/// After Newton and Schulz (1933): `y ← y (2 − x y)` doubles the right digits of an inverse, and the last step gives
/// the gradient.
pub(super) fn inverse_composite(x: &Tensor) -> Result<Tensor> {
    /// So many steps reach a condition number of 10¹² and more.
    const STEPS: usize = 100;
    let a = x.detach();
    let number = |x: Tensor| -> Result<f64> {
        Ok(x.to_dtype(DType::F64)?
            .to_device(&candle_core::Device::Cpu)?
            .to_scalar()?)
    };
    let largest_sum = |dim: usize| number(a.abs()?.sum(dim)?.max_all()?);
    let one = Tensor::eye(a.dims()[0], a.dtype(), a.device())?;
    let mut y = (a.t()? / (largest_sum(0)? * largest_sum(1)?))?.contiguous()?;
    let mut left = f64::INFINITY;
    for _ in 0..STEPS {
        let difference = (&one - a.matmul(&y)?)?;
        let rest = number(difference.sqr()?.sum_all()?)?.sqrt();
        let rounding = rest < 0.1 && rest >= 0.5 * left;
        left = rest;
        // What is left falls to its square, until rounding is all that is left; NaN is left of what is not finite.
        if rounding || rest.is_nan() {
            break;
        }
        y = (&y + y.matmul(&difference)?)?;
    }
    if left.is_nan() || left >= 0.1 {
        return Err(SINGULAR);
    }
    Ok(((&y * 2.0)? - y.matmul(x)?.matmul(&y)?)?)
}
