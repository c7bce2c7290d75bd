//! Inputs of a network, for testers and inference.

mod dataset_inputs;
mod embed;

pub use dataset_inputs::DatasetInputs;
pub use embed::embed;

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use candle_core::Tensor;
use dml_core::{Result, check};

/// Inputs of a network that are made when they are needed.
///
/// ```
/// use std::ops::Range;
/// use dml_core::{Result, candle_core::{Device, Tensor}};
/// use dml_eval::Inputs;
///
/// /// The numbers below a limit, one a row.
/// #[derive(Debug)]
/// struct Below(usize);
///
/// impl Inputs for Below {
///     fn rows(&self) -> usize {
///         self.0
///     }
///     fn batch(&self, rows: Range<usize>) -> Result<Tensor> {
///         let values: Vec<f32> = rows.map(|row| row as f32).collect();
///         Ok(Tensor::from_vec(values.clone(), (values.len(), 1), &Device::Cpu)?)
///     }
/// }
///
/// assert_eq!(Below(9).batch(7..9)?.to_vec2::<f32>()?, [[7.], [8.]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
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

dml_core::forward!(Inputs for [Arc<T>] {
    fn rows(&self) -> usize;
    fn batch(&self, rows: Range<usize>) -> Result<Tensor>;
});

/// The embeddings `[rows, dim]` of all inputs, `batch_size` at a time.
pub(crate) fn embedded(
    arg: &'static str,
    inputs: &dyn Inputs,
    batch_size: usize,
    embed: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let rows = inputs.rows();
    check::dims(rows > 0, arg, &[rows], "[rows, …] with at least one row")?;
    let batches = (0..rows).step_by(batch_size).map(|start| {
        let end = (start + batch_size).min(rows);
        embed(&inputs.batch(start..end)?)
    });
    Ok(Tensor::cat(&batches.collect::<Result<Vec<_>>>()?, 0)?)
}
