//! Optimisers that update parameters in place, in one pass over memory for each parameter and step.

pub mod adam;
mod in_place;
mod parameter_states;
pub mod sgd;

pub use dml_core::Optimizer;

pub use adam::{Adam, AdamConfig, AdamW, AdamWConfig};
pub use sgd::{Sgd, SgdConfig};

#[cfg(test)]
mod tests;
