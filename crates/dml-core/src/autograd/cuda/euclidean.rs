//! Distances of all rows, from differences.

use candle_core::Tensor;
use dml_kernels::cuda::euclidean::{self as kernel, Measure};

use super::run_for;
use crate::Result;
use crate::autograd::node;

/// Distances `[Q, R]` of rows `[Q, dim]` and `[R, dim]`, as a node of the graph.
pub(crate) fn euclidean(x: &Tensor, r: &Tensor, measure: Measure) -> Result<Tensor> {
    let (queries, dim) = x.dims2()?;
    let references = r.dims()[0];
    let [values] = run_for(&kernel::forward(queries, references, dim, measure), &[x, r])?;
    let values = values.reshape((queries, references))?;
    let gradient_of = move |rows: &Tensor, others: &Tensor, values: &_, upstream: &_, turned| {
        let (height, dim) = rows.dims2()?;
        let launch = kernel::backward(height, others.dims()[0], dim, turned, measure);
        let [gradient] = run_for(&launch, &[rows, others, values, upstream])?;
        Ok(gradient.reshape((height, dim))?)
    };
    if x.id() == r.id() {
        return node("euclidean", [x], values, move |[x], values, upstream| {
            let as_query = gradient_of(x, x, values, upstream, false)?;
            let as_reference = gradient_of(x, x, values, upstream, true)?;
            Ok([Some((as_query + as_reference)?)])
        });
    }
    node(
        "euclidean",
        [x, r],
        values,
        move |[x, r], values, upstream| {
            let needed = |rows: &Tensor, others: &Tensor, turned| -> Result<Option<Tensor>> {
                let is_needed = rows.track_op();
                is_needed
                    .then(|| gradient_of(rows, others, values, upstream, turned))
                    .transpose()
            };
            Ok([needed(x, r, false)?, needed(r, x, true)?])
        },
    )
}
