//! Embeddings of all inputs, batch by batch.

use candle_core::Tensor;
use dml_core::{Result, check};
use rayon::prelude::*;

use super::Inputs;

/// The embeddings `[rows, dim]` of all inputs, `batch_size` rows at a time, outside of the graph.
///
/// As many batches as there are threads are read at once, in parallel, and embedded one after another. `embed` gets a batch
/// `[batch, …]`; `done` is called after every batch with the number of rows that are embedded, for a progress bar.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::embed;
///
/// let inputs = Tensor::new(&[[1f32], [2.], [3.]], &Device::Cpu)?;
/// let mut seen = Vec::new();
/// let embeddings = embed(&inputs, 2, |batch| Ok((batch * 10.)?), |rows| seen.push(rows))?;
/// assert_eq!(embeddings.to_vec2::<f32>()?, [[10.], [20.], [30.]]);
/// assert_eq!(seen, [2, 3]);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `batch_size` is 0,
/// [`Error::Shape`](dml_core::Error::Shape) if the inputs have no rows; those of the inputs and of `embed`.
pub fn embed(
    inputs: &dyn Inputs,
    batch_size: usize,
    mut embed: impl FnMut(&Tensor) -> Result<Tensor>,
    mut done: impl FnMut(usize),
) -> Result<Tensor> {
    let step = check::at_least_one("batch_size", batch_size)?;
    let rows = inputs.rows();
    let expected = "[rows, …] with at least one row";
    check::dims(rows > 0, "inputs", &[rows], expected)?;
    let starts: Vec<usize> = (0..rows).step_by(step).collect();
    let mut embeddings = Vec::with_capacity(starts.len());
    for starts in starts.chunks(rayon::current_num_threads().max(1)) {
        let read = |&start: &usize| inputs.batch(start..(start + step).min(rows));
        let batches: Vec<Result<Tensor>> = starts.par_iter().map(read).collect();
        for (batch, start) in batches.into_iter().zip(starts) {
            // Outside of the graph, or the activations of all batches would stay in memory.
            embeddings.push(embed(&batch?)?.detach());
            done((start + step).min(rows));
        }
    }
    Ok(Tensor::cat(&embeddings, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use dml_core::Error;

    #[test]
    fn rows_come_in_order_whatever_the_size_of_a_batch() -> Result<()> {
        let values: Vec<f32> = (0..37).map(|x| x as f32).collect();
        let inputs = Tensor::from_vec(values, (37, 1), &Device::Cpu)?;
        let weight = Var::new(2f32, &Device::Cpu)?;
        for size in [1, 4, 37, 100] {
            let mut last = 0;
            let twice = |batch: &Tensor| Ok(batch.broadcast_mul(&weight)?);
            let embeddings = embed(&inputs, size, twice, |rows| last = rows)?;
            assert_eq!(embeddings.dims(), [37, 1]);
            assert_eq!(
                embeddings.to_vec2::<f32>()?,
                (&inputs * 2.)?.to_vec2::<f32>()?
            );
            assert_eq!(last, 37);
            assert!(!embeddings.track_op());
        }
        Ok(())
    }

    #[test]
    fn nothing_and_batches_of_nothing_are_refused() -> Result<()> {
        let some = Tensor::zeros((2, 1), candle_core::DType::F32, &Device::Cpu)?;
        let same = |batch: &Tensor| Ok(batch.clone());
        assert!(matches!(
            embed(&some, 0, same, |_| ()),
            Err(Error::InvalidParameter { .. })
        ));
        let none = some.narrow(0, 0, 0)?;
        assert!(matches!(
            embed(&none, 4, same, |_| ()),
            Err(Error::Shape { arg: "inputs", .. })
        ));
        Ok(())
    }
}
