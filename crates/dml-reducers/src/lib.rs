#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::float_cmp, reason = "numbers by hand are exact"))]

mod avg_non_zero;
mod mean;
mod sum;
mod threshold;

pub use dml_core;

pub use avg_non_zero::{AvgNonZeroReducer, AvgNonZeroReducerConfig};
pub use mean::MeanReducer;
pub use sum::SumReducer;
pub use threshold::{ThresholdReducer, ThresholdReducerConfig};

#[cfg(test)]
mod tests;
