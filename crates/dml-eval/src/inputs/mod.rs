//! Inputs of a network, for testers and inference.

mod dataset_inputs;

pub use dataset_inputs::DatasetInputs;

use std::fmt::Debug;
use std::ops::Range;

use candle_core::Tensor;
use dml_core::Result;

/// Inputs of a network that are made when they are needed.
pub trait Inputs: Debug + Send + Sync {
    /// How many there are.
    fn rows(&self) -> usize;

    /// Some of them `[rows, …]`.
    ///
    /// # Errors
    /// If they can't be made.
    fn batch(&self, rows: Range<usize>) -> Result<Tensor>;
}

/// Inputs that are there: `[rows, …]`.
impl Inputs for Tensor {
    fn rows(&self) -> usize {
        self.dims().first().copied().unwrap_or(0)
    }

    fn batch(&self, rows: Range<usize>) -> Result<Tensor> {
        Ok(self.narrow(0, rows.start, rows.len())?)
    }
}
