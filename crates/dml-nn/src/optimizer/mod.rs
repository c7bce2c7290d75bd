//! Optimisers: parameters changed in place, one pass over memory per parameter and step.

pub mod adam;
pub mod sgd;
mod slot;

pub use dml_core::Optimizer;

pub use adam::{Adam, AdamConfig, AdamW, AdamWConfig};
pub use sgd::{Sgd, SgdConfig};

#[cfg(test)]
mod tests;
