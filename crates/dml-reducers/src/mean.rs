//! The mean of all values.
//!
//! ```text
//! L = (1/n) Σ ℓᵢ
//! ```

use dml_core::{Batch, Reduced, Reducer, Result, Term};

/// Mean of all values of a term ([formula](self)).
///
/// ```
/// use dml_core::{Batch, Indices, Over, Reducer, Term, candle_core::{Device, Tensor}};
/// use dml_reducers::MeanReducer;
///
/// let batch = Batch::new(&Tensor::new(&[[0f32], [1.], [2.]], &Device::Cpu)?, &[0i64, 1, 1])?;
/// let values = Tensor::new(&[1f32, 2., 6.], &Device::Cpu)?;
/// let term = Term::explicit("loss", Over::Elements, values, Indices::Elements(vec![0, 1, 2]))?;
/// assert_eq!(MeanReducer.reduce(&term.into(), &batch)?.loss.to_scalar::<f32>()?, 3.0);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeanReducer;

impl Reducer for MeanReducer {
    fn reduce_term(&self, term: &Term, _: &Batch) -> Result<Reduced> {
        let part = term.sum_within(None, None)?;
        let mean = (part.sum / part.count as f64)?;
        Ok(Reduced::new(mean, part.count, term.count()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Values, gradient_and_loss};

    #[test]
    fn one_two_six_make_three() -> Result<()> {
        for values in Values::of_every_kind(&[1.0, 2.0, 6.0]) {
            let (gradient, reduced) = gradient_and_loss(&MeanReducer, &values)?;
            assert_eq!(reduced.loss.to_scalar::<f64>()?, 3.0);
            assert_eq!((reduced.kept, reduced.total), (3, 3));
            assert_eq!(gradient, [1.0 / 3.0; 3]);
        }
        Ok(())
    }
}
