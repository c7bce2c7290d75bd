//! From one value per row (or pair of rows) to the penalty.

use dml_core::candle_core::Tensor;
use dml_core::{Batch, Indices, Over, Reducer, Result, Term};

/// Reduces `values` `[n]`, whose entries belong to the rows 0, 1, 2, …, with these numbers as their classes.
pub(crate) fn reduce(
    reducer: &dyn Reducer,
    rows: &Tensor,
    values: Tensor,
    divisor: Option<f64>,
) -> Result<Tensor> {
    let numbers = |n: usize| (0..n as u32).collect::<Vec<u32>>();
    let batch = Batch::new(rows, numbers(rows.dims()[0]))?;
    if let Some(nan) = not_finite(rows)? {
        return Ok(nan);
    }
    let indices = Indices::Elements(numbers(values.elem_count()));
    let term = Term::explicit("loss", Over::Elements, values, indices)?;
    let term = match divisor {
        Some(divisor) => term.with_divisor(divisor),
        None => term,
    };
    Ok(reducer.reduce_any(&term, &batch)?.loss)
}

/// What the penalty of rows is of which one is not finite: NaN, with gradient NaN.
pub(crate) fn not_finite(rows: &Tensor) -> Result<Option<Tensor>> {
    let Some(terms) = Batch::unlabeled(rows)?.spoiled_rows()? else {
        return Ok(None);
    };
    let value = |term: &Term| Ok(term.values()?.0.to_dtype(rows.dtype())?);
    terms.iter().next().map(value).transpose()
}
