//! Terms with one value per row of the batch.

use candle_core::Tensor;
use dml_core::{Batch, Indices, Over, Result, Term, Tuples};

/// A term over `rows`, which are some rows of the batch in order: of all `values` `[Q]` only theirs count, each times
/// how often the tuples name its row ([`Tuples::weights`]).
pub(crate) fn term_over_rows(
    name: &'static str,
    values: &Tensor,
    rows: Vec<u32>,
    batch: &Batch,
    tuples: &Tuples,
) -> Result<Term> {
    let weighted = if tuples.is_all() {
        values.clone()
    } else {
        let weights = Tensor::new(tuples.weights(batch)?, values.device())?;
        (values * weights.to_dtype(values.dtype())?)?
    };
    let kept = if rows.len() == batch.queries() {
        weighted
    } else {
        weighted.index_select(&Tensor::new(rows.as_slice(), values.device())?, 0)?
    };
    Term::explicit(name, Over::Elements, kept, Indices::Elements(rows))
}
