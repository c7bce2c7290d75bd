#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::float_cmp, reason = "numbers by hand are exact"))]

pub mod mean;
pub mod sum;

pub mod avg_non_zero;
pub mod threshold;

pub mod class_weighted;
pub mod divisor;
pub mod per_anchor;

mod do_nothing;
mod multiple;

pub use dml_core;

pub use mean::MeanReducer;
pub use sum::SumReducer;

pub use avg_non_zero::{AvgNonZeroReducer, AvgNonZeroReducerConfig};
pub use threshold::{ThresholdReducer, ThresholdReducerConfig};

pub use class_weighted::{ClassWeightedReducer, ClassWeightedReducerConfig};
pub use divisor::DivisorReducer;
pub use per_anchor::{Aggregation, PerAnchorReducer, PerAnchorReducerConfig};

pub use do_nothing::DoNothingReducer;
pub use multiple::MultipleReducers;

#[cfg(test)]
mod tests;
