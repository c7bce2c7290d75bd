//! The logarithm of the sum of exponentials over some entries of each row.

use candle_core::{DType, Tensor};
use dml_kernels::log_sum_exp as kernel;

use crate::autograd::cuda;
use crate::autograd::{PartialGradient, has_kernel, of_matrix, with_slice, with_slices};
use crate::{Result, TensorExt, check, for_element};

pub(super) fn masked_logsumexp(x: &Tensor, keep: Option<&Tensor>, add_one: bool) -> Result<Tensor> {
    if let Some(keep) = keep {
        let fits = keep.dims() == x.dims();
        check::shape(fits, "keep", keep, "the shape of the tensor")?;
    }
    if x.elem_count() == 0 {
        let none = Tensor::zeros(x.dims()[0], x.dtype(), x.device())?;
        return Ok(none.broadcast_add(&x.attached_zero()?)?);
    }
    if cuda::has_kernel(x) {
        return cuda::log_sum_exp::masked_logsumexp(x, keep, add_one);
    }
    if !has_kernel(x) {
        return masked_logsumexp_composite(x, keep, add_one);
    }
    let (rows, width) = x.dims2()?;
    let keep = keep.map(mask).transpose()?;
    for_element!(x, "x", |T| {
        let value = with_slice(x, |x: &[T]| {
            kernel::log_sum_exp(x, keep.as_deref(), width, add_one)
        })?;
        of_matrix("masked_logsumexp", x, value, rows, move |x, y, gradient| {
            let result = with_slices([x, y, gradient], |[x, y, g]: [&[T]; 3]| {
                kernel::log_sum_exp_backward(x, keep.as_deref(), y, g, width)
            })?;
            Ok(PartialGradient::dense(result))
        })
    })
}

fn mask(keep: &Tensor) -> Result<Vec<u8>> {
    Ok(keep.ne(0f64)?.flatten_all()?.to_vec1()?)
}

pub(super) fn masked_logsumexp_composite(
    x: &Tensor,
    keep: Option<&Tensor>,
    add_one: bool,
) -> Result<Tensor> {
    let keep = match keep {
        Some(keep) => keep.ne(0f64)?,
        None => x.ones_like()?.to_dtype(DType::U8)?,
    };
    // An entry that does not count stands for the smallest number in the maximum, and for 0 in the sum.
    let lowest = (x.ones_like()? * f64::from(f32::MIN))?;
    let top = keep.where_cond(x, &lowest)?.detach().max_keepdim(1)?;
    let top = if add_one {
        top.maximum(&top.zeros_like()?)?
    } else {
        top
    };
    let none = keep.to_dtype(DType::U32)?.sum_keepdim(1)?.eq(0u32)?;
    let top = none.where_cond(&top.zeros_like()?, &top)?;
    let zeros = x.zeros_like()?;
    // Exponents of dropped entries are 0 before they are dropped: an infinite one would make the gradient NaN.
    let exponents = keep.where_cond(&x.broadcast_sub(&top)?, &zeros)?;
    let sum = keep.where_cond(&exponents.exp()?, &zeros)?.sum_keepdim(1)?;
    let sum = if add_one {
        (sum + top.neg()?.exp()?)?
    } else {
        sum
    };
    let safe = none.where_cond(&sum.ones_like()?, &sum)?;
    let value = (safe.log()? + top)?;
    Ok(none.where_cond(&value.zeros_like()?, &value)?.squeeze(1)?)
}
