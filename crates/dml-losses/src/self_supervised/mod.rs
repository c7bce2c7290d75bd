//! Losses that need no labels: they compare two views of the same examples.

pub mod vic_reg_loss;

pub use vic_reg_loss::{VICRegLoss, VICRegLossConfig};
