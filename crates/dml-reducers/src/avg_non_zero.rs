//! The mean of the values above zero.
//!
//! ```text
//! K = {i : 0 < ℓᵢ < high},   L = (1/|K|) Σ_{i∈K} ℓᵢ,   0 if K is empty
//! ```
//!
//! The usual choice for hinges: pairs and triplets that are satisfied already do not dilute the others. A value of
//! exactly 0, such as a hinge at its corner, does not count.

use dml_core::{Batch, Reduced, Reducer, Result, Term};

use crate::threshold::{mean_within, number};

dml_core::config! {
    /// Configuration of [`AvgNonZeroReducer`].
    pub struct AvgNonZeroReducerConfig {
        /// Values must be below it. Default none.
        #[cfg_attr(feature = "serde", serde(with = "dml_core::extended_real::option"))]
        pub high: Option<f64> = None,
    }
}

/// Mean of the values above zero ([formula](self)).
#[derive(Clone, Debug, Default)]
pub struct AvgNonZeroReducer {
    high: Option<f64>,
}

impl AvgNonZeroReducer {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `high` is NaN.
    pub fn new(config: AvgNonZeroReducerConfig) -> Result<Self> {
        let high = number("high", config.high)?;
        Ok(Self { high })
    }
}

impl Reducer for AvgNonZeroReducer {
    fn reduce_term(&self, term: &Term, batch: &Batch) -> Result<Reduced> {
        mean_within(term, batch, Some(0.0), self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Values, gradient_and_loss};

    #[test]
    fn zeros_do_not_dilute() -> Result<()> {
        for values in Values::of_every_kind(&[0.0, 2.0, 6.0]) {
            let (gradient, reduced) = gradient_and_loss(&AvgNonZeroReducer::default(), &values)?;
            assert_eq!(reduced.loss.to_scalar::<f64>()?, 4.0);
            assert_eq!((reduced.kept, reduced.total), (2, 3));
            assert_eq!(gradient, [0.0, 0.5, 0.5]);
            let below = AvgNonZeroReducer::new(AvgNonZeroReducerConfig { high: Some(6.0) })?;
            let (gradient, reduced) = gradient_and_loss(&below, &values)?;
            assert_eq!(reduced.loss.to_scalar::<f64>()?, 2.0);
            assert_eq!(gradient, [0.0, 1.0, 0.0]);
        }
        Ok(())
    }

    #[test]
    fn nothing_above_zero_is_zero() -> Result<()> {
        for values in Values::of_every_kind(&[0.0, 0.0, -1.0]) {
            let reduced = AvgNonZeroReducer::default().reduce(&values.terms, &values.batch)?;
            assert_eq!(reduced.loss.to_scalar::<f64>()?, 0.0);
            assert_eq!(reduced.kept, 0);
            reduced.loss.backward()?;
        }
        Ok(())
    }
}
