//! Distances of all rows, from differences.

use candle_core::Tensor;
use dml_kernels::cuda::euclidean::{self as kernel, Measure};

use super::{binary, run_for, unary};
use crate::Result;

/// Distances `[Q, R]` of rows `[Q, dim]` and `[R, dim]`, as a node of the graph.
pub(crate) fn euclidean(x: &Tensor, r: &Tensor, measure: Measure) -> Result<Tensor> {
    let (queries, dim) = x.dims2()?;
    let references = r.dims()[0];
    let [values] = run_for(&kernel::forward(queries, references, dim, measure), &[x, r])?;
    let values = values.reshape((queries, references))?;
    if x.id() == r.id() {
        return unary("euclidean", x, values, move |x, values, gradient| {
            let as_query = slopes(x, x, values, gradient, false, measure)?;
            let as_reference = slopes(x, x, values, gradient, true, measure)?;
            Ok((as_query + as_reference)?)
        });
    }
    binary("euclidean", x, r, values, move |x, r, values, gradient| {
        let needed = |rows: &Tensor, others: &Tensor, turned| {
            let needed = rows.track_op();
            needed
                .then(|| slopes(rows, others, values, gradient, turned, measure))
                .transpose()
        };
        Ok((needed(x, r, false)?, needed(r, x, true)?))
    })
}

/// The gradient of `rows`, which are the queries unless `turned`.
fn slopes(
    rows: &Tensor,
    others: &Tensor,
    values: &Tensor,
    gradient: &Tensor,
    turned: bool,
    measure: Measure,
) -> Result<Tensor> {
    let (height, dim) = rows.dims2()?;
    let launch = kernel::backward(height, others.dims()[0], dim, turned, measure);
    let [slopes] = run_for(&launch, &[rows, others, values, gradient])?;
    Ok(slopes.reshape((height, dim))?)
}
