//! The sum divided by what the loss says.
//!
//! ```text
//! L = Σ ℓᵢ / divisor,   0 if the divisor is 0
//! ```
//!
//! Some losses know better than their number of values what to divide by: `ProxyAnchorLoss` by the classes present,
//! `MarginLoss` by its active hinges.

use dml_core::{Batch, Error, Reduced, Reducer, Result, Term};

/// Sum of all values over the divisor of the term ([formula](self)).
///
/// ```
/// use dml_core::{Batch, Indices, Over, Reducer, Term, candle_core::{Device, Tensor}};
/// use dml_reducers::DivisorReducer;
///
/// let batch = Batch::new(&Tensor::new(&[[0f32], [1.], [2.]], &Device::Cpu)?, &[0i64, 1, 1])?;
/// let values = Tensor::new(&[1f32, 2., 6.], &Device::Cpu)?;
/// let term = Term::explicit("loss", Over::Elements, values, Indices::Elements(vec![0, 1, 2]))?;
/// let loss = DivisorReducer.reduce(&term.with_divisor(2.0).into(), &batch)?.loss;
/// assert_eq!(loss.to_scalar::<f32>()?, 4.5);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DivisorReducer;

impl Reducer for DivisorReducer {
    /// # Errors
    /// [`Error::Unsupported`] for a term without a divisor.
    fn reduce_term(&self, term: &Term, batch: &Batch) -> Result<Reduced> {
        let divisor = term.divisor().ok_or(Error::unsupported(
            "DivisorReducer",
            "this loss gives no divisor; take MeanReducer or AvgNonZeroReducer",
        ))?;
        let total = term.count();
        let part = term.sum_within(None, None)?;
        if divisor == 0.0 {
            // 0, unless there is NaN among the values, or an infinity.
            let nothing = (part.sum * 0.0)?;
            return Ok(Reduced::new((batch.zero()? + nothing)?, 0, total));
        }
        Ok(Reduced::new((part.sum / divisor)?, part.count, total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Values, gradient_and_loss};

    #[test]
    fn the_sum_is_divided() -> Result<()> {
        for mut values in Values::of_every_kind(&[1.0, 2.0, 6.0]) {
            values.divide_by(4.0);
            let (gradient, reduced) = gradient_and_loss(&DivisorReducer, &values)?;
            assert_eq!(reduced.loss.to_scalar::<f64>()?, 2.25);
            assert_eq!((reduced.kept, reduced.total), (3, 3));
            assert_eq!(gradient, [0.25; 3]);
        }
        Ok(())
    }

    #[test]
    fn a_divisor_of_zero_makes_zero() -> Result<()> {
        for mut values in Values::of_every_kind(&[1.0, 2.0, 6.0]) {
            values.divide_by(0.0);
            let reduced = DivisorReducer.reduce(&values.terms, &values.batch)?;
            assert_eq!(reduced.loss.to_scalar::<f64>()?, 0.0);
            assert_eq!((reduced.kept, reduced.total), (0, 3));
            reduced.loss.backward()?;
        }
        Ok(())
    }

    #[test]
    fn a_loss_without_divisor_is_refused() {
        for values in Values::of_every_kind(&[1.0, 2.0, 6.0]) {
            assert!(matches!(
                DivisorReducer.reduce(&values.terms, &values.batch),
                Err(Error::Unsupported {
                    component: "DivisorReducer",
                    ..
                })
            ));
        }
    }
}
