//! Columns as rows, written out.

use candle_core::Tensor;
use dml_kernels::transposed as kernel;

use crate::autograd::{self, Element, has_kernel, with_slice};
use crate::{Result, for_element};

pub(super) fn transposed(x: &Tensor) -> Result<Tensor> {
    if !has_kernel(x) {
        return Ok(x.t()?.contiguous()?);
    }
    for_element!(x, "x", |T| {
        let (rows, columns) = x.dims2()?;
        let value = turn::<T>(x)?;
        autograd::unary("transposed", x, value, (columns, rows), |x, _, gradient| {
            Ok(Tensor::from_vec(
                turn::<T>(gradient)?,
                x.shape(),
                x.device(),
            )?)
        })
    })
}

fn turn<T: Element>(x: &Tensor) -> Result<Vec<T>> {
    let (rows, columns) = x.dims2()?;
    with_slice(x, |x: &[T]| kernel(x, rows, columns))
}
