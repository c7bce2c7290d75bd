//! Attention composed of Candle's operations, for any device and element type.

use candle_core::{D, Tensor};
use dml_core::Result;

use super::masks::Masks;
use crate::kernels::attention::Sizes;
use crate::kernels::dropout::Factors;
use crate::wide_on_cpu;

/// Attention of separate heads: `[batch, heads, queries, value_width]`. On the CPU, half precision is computed in single.
pub(super) fn attention(
    sizes: &Sizes,
    operands: [Tensor; 3],
    scale: f64,
    masks: &Masks,
    dropped: Option<&Factors>,
) -> Result<Tensor> {
    let [query, key, value] = operands;
    let dtype = query.dtype();
    let wide = wide_on_cpu(&query);
    let matrix = |x: &Tensor| -> Result<Tensor> { Ok(x.to_dtype(wide)?.contiguous()?) };
    let (query, key, value) = (matrix(&query)?, matrix(&key)?, matrix(&value)?);
    let mut scores = (query.matmul(&key.t()?)? * scale)?;
    if let Some(added) = &masks.added {
        scores = (scores + added.to_dtype(wide)?)?;
    }
    let all = scores.shape().clone();
    let minus_infinity = Tensor::new(f64::NEG_INFINITY, scores.device())?
        .to_dtype(wide)?
        .broadcast_as(&all)?;
    if let Some(ignored) = &masks.ignored {
        let ignored = ignored.to_device(scores.device())?;
        let ignored = ignored.reshape((sizes.batch, 1, 1, sizes.keys))?;
        scores = ignored
            .broadcast_as(&all)?
            .where_cond(&minus_infinity, &scores)?;
    }
    if masks.causal {
        let (queries, keys) = (sizes.queries, sizes.keys);
        let later = (0..queries * keys).map(|at| u8::from(at % keys > at / keys));
        let later = Tensor::from_iter(later, scores.device())?.reshape((queries, keys))?;
        scores = later
            .broadcast_as(&all)?
            .where_cond(&minus_infinity, &scores)?;
    }
    let mut probabilities = softmax(&scores)?;
    if let Some(dropped) = dropped {
        let mut factors = vec![0f64; all.elem_count()];
        dropped.fill(0, &mut factors);
        let factors = Tensor::from_vec(factors, &all, scores.device())?;
        probabilities = (probabilities * factors.to_dtype(wide)?)?;
    }
    Ok(probabilities.matmul(&value)?.to_dtype(dtype)?)
}

/// The softmax of rows; 0 for a row of −∞.
fn softmax(scores: &Tensor) -> Result<Tensor> {
    // A constant: the softmax does not depend on it.
    let maximum = scores.detach().max_keepdim(D::Minus1)?;
    let nothing = maximum.eq(f64::NEG_INFINITY)?;
    let shift = nothing.where_cond(&maximum.zeros_like()?, &maximum)?;
    let exponentials = scores.broadcast_sub(&shift)?.exp()?;
    let sum = exponentials.sum_keepdim(D::Minus1)?;
    let divisor = nothing.where_cond(&sum.ones_like()?, &sum)?;
    Ok(exponentials.broadcast_div(&divisor)?)
}
