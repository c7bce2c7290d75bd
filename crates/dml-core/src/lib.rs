//! The contract of deep metric learning: batch, relation, tuples, terms and the traits between them.

pub mod check;
mod error;

pub use candle_core;
pub use dml_kernels as kernels;

pub use error::{Error, Result};
