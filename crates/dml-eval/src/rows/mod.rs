//! Embeddings as searches and clusterings take them.

mod checked;
pub(crate) mod distance_blocks;
mod magnitude;

pub(crate) use checked::{
    check_finite, check_numbers, check_squares, checked_rows, double_rows, doubles_on_cpu,
    finite_rows,
};
#[cfg(feature = "usearch")]
pub(crate) use magnitude::power_of_two;
pub(crate) use magnitude::{exponent_of, of_ordinary_size, times_power_of_two, unit_rows};
