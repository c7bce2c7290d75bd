//! Rows divided by their norm, and the norms themselves.

use std::sync::Arc;

use candle_core::{DType, Tensor};
use dml_kernels::normalize as kernel;
use dml_kernels::{Real, for_each_row, map_rows};

use super::elementwise::{magnitude_composite, power_composite};
use crate::autograd::{self, Element, SideTable, has_kernel, with_slice, with_slices};
use crate::{Result, for_element};

/// What is known of rows that were divided by their norm. What is computed from them next can send its gradient
/// straight to the rows that they came from.
pub(super) struct Unit {
    source: Tensor,
    norms: Vec<f64>,
    p: f64,
}

thread_local! {
    /// Of the rows that were divided on this thread and that somebody still holds.
    static UNITS: SideTable<Unit> = SideTable::new();
}

impl Unit {
    /// What `rows` came from; `None` where they are no quotients, or a constant.
    pub(super) fn of(rows: &Tensor) -> Option<Arc<Self>> {
        UNITS.with(|units| units.get(rows))
    }

    /// The rows before they were divided.
    pub(super) fn source(&self) -> &Tensor {
        &self.source
    }

    /// From the gradient of the quotients to that of the rows before, which are `source`.
    pub(super) fn pull_back<T: Element>(&self, gradient: &mut [T]) -> Result<()> {
        let dim = self.source.dims()[1];
        with_slice(&self.source, |x: &[T]| {
            kernel::normalize_rows_backward(x, &self.norms, gradient, dim, self.p);
        })
    }
}

pub(super) fn normalize(x: &Tensor, p: f64) -> Result<Tensor> {
    if is_half(x) {
        return Ok(normalize(&x.to_dtype(DType::F32)?, p)?.to_dtype(x.dtype())?);
    }
    if !has_kernel(x) {
        return normalize_composite(x, p);
    }
    let (_, dim) = x.dims2()?;
    for_element!(x, "embeddings", |T| {
        let (values, norms) = with_slice(x, |x: &[T]| kernel::normalize_rows(x, dim, p))?;
        let source = x.clone();
        let known = Arc::new(Unit { source, norms, p });
        let pull = known.clone();
        let unit = autograd::unary("normalize", x, values, x.shape(), move |_, _, gradient| {
            let mut result = with_slice(gradient, <[T]>::to_vec)?;
            pull.pull_back(&mut result)?;
            Ok(result)
        })?;
        // The node of the quotients keeps what is known of them alive.
        if unit.track_op() {
            UNITS.with(|units| units.insert(&unit, &known));
        }
        Ok(unit)
    })
}

pub(super) fn normalize_composite(x: &Tensor, p: f64) -> Result<Tensor> {
    if x.elem_count() == 0 {
        return Ok(x.clone());
    }
    // Coordinates as shares of the largest one of their row: no power over- or underflows, and the row points the same way.
    let shares = x.broadcast_div(&largest_or_one(&x.detach().abs()?)?)?;
    let norms = row_norms_composite(&shares, p)?.unsqueeze(1)?; // [rows, 1]
    let is_zero = norms.eq(0.0)?;
    let divisor = is_zero.where_cond(&norms.ones_like()?, &norms)?;
    let quotients = shares.broadcast_div(&divisor)?;
    // A row of zeros is a constant, with gradient 0.
    Ok(is_zero
        .broadcast_as(quotients.shape())?
        .where_cond(&quotients.zeros_like()?, &quotients)?)
}

/// The largest of the last dimension, which is kept; 1 where it is 0, infinite or NaN.
fn largest_or_one(magnitudes: &Tensor) -> Result<Tensor> {
    let last = magnitudes.rank() - 1;
    let top = magnitudes.max_keepdim(last)?;
    let is_positive_and_finite = (top.gt(0.0)? * top.lt(f64::INFINITY)?)?;
    Ok(is_positive_and_finite.where_cond(&top, &top.ones_like()?)?)
}

pub(super) fn row_norms(x: &Tensor, p: f64) -> Result<Tensor> {
    if is_half(x) {
        return Ok(row_norms(&x.to_dtype(DType::F32)?, p)?.to_dtype(x.dtype())?);
    }
    if !has_kernel(x) {
        return row_norms_composite(x, p);
    }
    let (rows, dim) = x.dims2()?;
    for_element!(x, "embeddings", |T| {
        let norms: Vec<f64> = with_slice(x, |x: &[T]| {
            map_rows(rows, |i, (): &mut ()| kernel::norm(&x[i * dim..][..dim], p))
        })?;
        let value: Vec<T> = norms.iter().map(|n| T::from_f64(*n)).collect();
        autograd::unary("row_norms", x, value, rows, move |x, _, gradient| {
            let mut result = vec![T::ZERO; rows * dim];
            with_slices([x, gradient], |[x, g]: [&[T]; 2]| {
                for_each_row(&mut result, dim, |i, out| {
                    kernel::norm_gradient(&x[i * dim..][..dim], p, norms[i], out);
                    out.iter_mut().for_each(|o| *o *= g[i]);
                });
            })?;
            Ok(result)
        })
    })
}

/// Whether squares of ordinary numbers over- or underflow in the precision of a tensor.
pub(super) fn is_half(x: &Tensor) -> bool {
    matches!(x.dtype(), DType::F16 | DType::BF16)
}

pub(super) fn row_norms_composite(x: &Tensor, p: f64) -> Result<Tensor> {
    norm_over_last(&magnitude_composite(x)?, p)
}

/// The p-norm over the last dimension of magnitudes, with gradient 0 where it is 0.
pub(super) fn norm_over_last(magnitudes: &Tensor, p: f64) -> Result<Tensor> {
    let last = magnitudes.rank() - 1;
    if p == 1.0 || magnitudes.elem_count() == 0 {
        return Ok(magnitudes.sum(last)?);
    }
    if p.is_infinite() {
        // Tied maxima share the gradient: the mean of all entries that attain the maximum.
        let top = magnitudes.detach().max_keepdim(last)?;
        let attains = magnitudes
            .detach()
            .broadcast_eq(&top)?
            .to_dtype(magnitudes.dtype())?;
        let ties = attains.sum(last)?;
        return Ok(((magnitudes * attains)?.sum(last)? / ties)?);
    }
    // Powers of shares of the largest one, against over- and underflow; its own gradient cancels.
    let top = largest_or_one(&magnitudes.detach())?;
    let shares = magnitudes.broadcast_div(&top)?;
    let norms = power_composite(&power_composite(&shares, p)?.sum(last)?, 1.0 / p)?;
    Ok((norms * top.squeeze(last)?)?)
}
