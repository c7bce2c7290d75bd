//! Distances between all rows of two matrices.

use candle_core::Tensor;
use dml_kernels::pairwise_lp as kernel;

use super::elementwise::magnitude_composite;
use super::normalize::norm_over_last;
use crate::fused::{self, has_kernel, with_slice};
use crate::{Result, for_element};

pub(super) fn pairwise_lp(x: &Tensor, r: &Tensor, p: f64) -> Result<Tensor> {
    if !(has_kernel(x) && has_kernel(r) && x.dtype() == r.dtype()) {
        return pairwise_lp_composite(x, r, p);
    }
    let shape = (x.dims()[0], r.dims()[0]);
    let dim = x.dims()[1];
    for_element!(x, "query", |T| {
        let distances = with_slice(x, |x: &[T]| {
            with_slice(r, |r: &[T]| kernel::pairwise_lp(x, r, dim, p))
        })??;
        fused::binary(
            "pairwise_lp",
            x,
            r,
            distances,
            shape,
            move |x, r, distances, gradient| {
                Ok((
                    side::<T>(x, r, distances, gradient, p)?,
                    side::<T>(r, x, &distances.t()?, &gradient.t()?, p)?,
                ))
            },
        )
    })
}

/// The gradient of one side. A side that nothing upstream needs costs nothing.
fn side<T: crate::fused::Element>(
    x: &Tensor,
    r: &Tensor,
    distances: &Tensor,
    gradient: &Tensor,
    p: f64,
) -> Result<Tensor> {
    if !x.track_op() {
        return Ok(x.zeros_like()?);
    }
    let dim = x.dims()[1];
    let result = with_slice(x, |x: &[T]| {
        with_slice(r, |r: &[T]| {
            with_slice(distances, |d: &[T]| {
                with_slice(gradient, |g: &[T]| {
                    kernel::pairwise_lp_backward(x, r, d, g, dim, p)
                })
            })
        })
    })????;
    Ok(Tensor::from_vec(result, x.shape(), x.device())?)
}

/// Needs `Q · R · dim` memory: for devices without a kernel.
pub(super) fn pairwise_lp_composite(x: &Tensor, r: &Tensor, p: f64) -> Result<Tensor> {
    let differences = x.unsqueeze(1)?.broadcast_sub(&r.unsqueeze(0)?)?; // [Q, R, dim]
    norm_over_last(&magnitude_composite(&differences)?, p)
}
