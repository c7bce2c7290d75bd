//! Embeddings as searches and clusterings take them.

use candle_core::Tensor;
use dml_core::Result;

mod checked;
pub(crate) mod distance_blocks;
mod magnitude;

pub(crate) use checked::{
    check_finite, check_numbers, check_squares, checked_rows, double_rows, doubles_on_cpu,
    rows_like,
};
#[cfg(feature = "usearch")]
pub(crate) use magnitude::power_of_two;
pub(crate) use magnitude::{exponent_of, of_ordinary_size, times_power_of_two, unit_rows};

/// Some rows of `[rows, …]`.
pub(crate) fn selected(rows: &Tensor, which: &[u32]) -> Result<Tensor> {
    let which = Tensor::from_slice(which, which.len(), rows.device())?;
    Ok(rows.index_select(&which, 0)?)
}
