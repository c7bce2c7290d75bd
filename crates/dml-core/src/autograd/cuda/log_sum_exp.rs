//! The logarithm of the sum of exponentials over some entries of each row.

use candle_core::{DType, Tensor};
use dml_kernels::cuda::log_sum_exp as kernel;

use super::run_for;
use crate::Result;
use crate::autograd::node;

/// `[rows, columns]` → `[rows]`, as a node of the graph; `keep` has the shape of `x`.
pub(crate) fn masked_logsumexp(x: &Tensor, keep: Option<&Tensor>, add_one: bool) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    let has_keep = keep.is_some();
    let keep = match keep {
        Some(keep) => keep.ne(0f64)?,
        None => Tensor::zeros(1, DType::U8, x.device())?,
    };
    let launch = kernel::forward(rows, width, has_keep, add_one);
    let [value] = run_for(&launch, &[x, &keep])?;
    node(
        "masked_logsumexp",
        [x],
        value,
        move |[x], value, upstream| {
            let launch = kernel::backward(rows, width, has_keep);
            let [gradient] = run_for(&launch, &[x, &keep, value, upstream])?;
            Ok([Some(gradient.reshape((rows, width))?)])
        },
    )
}
