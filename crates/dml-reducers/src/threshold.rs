//! The mean of the values between two bounds.
//!
//! ```text
//! K = {i : low < ℓᵢ < high},   L = (1/|K|) Σ_{i∈K} ℓᵢ,   0 if K is empty
//! ```

use dml_core::{Batch, Reduced, Reducer, Result, Term, check};

dml_core::config! {
    /// Configuration of [`ThresholdReducer`].
    pub struct ThresholdReducerConfig {
        /// Values must be above it. Default none.
        #[cfg_attr(feature = "serde", serde(with = "dml_core::extended_real::option"))]
        pub low: Option<f64> = None,
        /// Values must be below it. Default none.
        #[cfg_attr(feature = "serde", serde(with = "dml_core::extended_real::option"))]
        pub high: Option<f64> = None,
    }
}

/// Mean of the values strictly between two bounds ([formula](self)).
///
/// ```
/// use dml_core::{Batch, Indices, Over, Reducer, Term, candle_core::{Device, Tensor}};
/// use dml_reducers::{ThresholdReducer, ThresholdReducerConfig};
///
/// let reducer = ThresholdReducer::new(ThresholdReducerConfig { low: Some(1.0), high: None })?;
/// let batch = Batch::new(&Tensor::new(&[[0f32], [1.], [2.]], &Device::Cpu)?, &[0i64, 1, 1])?;
/// let values = Tensor::new(&[1f32, 2., 6.], &Device::Cpu)?;
/// let term = Term::explicit("loss", Over::Elements, values, Indices::Elements(vec![0, 1, 2]))?;
/// let reduced = reducer.reduce(&term.into(), &batch)?;
/// assert_eq!((reduced.loss.to_scalar::<f32>()?, reduced.kept, reduced.total), (4.0, 2, 3));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ThresholdReducer {
    low: Option<f64>,
    high: Option<f64>,
}

impl ThresholdReducer {
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) if neither bound is given,
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if one is NaN.
    pub fn new(config: ThresholdReducerConfig) -> Result<Self> {
        let ThresholdReducerConfig { low, high } = config;
        let reason = "at least one of low and high must be given";
        check::supported(low.is_some() || high.is_some(), "ThresholdReducer", reason)?;
        Ok(Self {
            low: number("low", low)?,
            high: number("high", high)?,
        })
    }
}

pub(crate) fn number(name: &'static str, bound: Option<f64>) -> Result<Option<f64>> {
    let number = |value: f64| check::parameter(!value.is_nan(), name, value, "a number");
    bound.map(number).transpose()
}

pub(crate) fn mean_within(
    term: &Term,
    batch: &Batch,
    low: Option<f64>,
    high: Option<f64>,
) -> Result<Reduced> {
    let part = term.sum_within(low, high)?;
    let loss = if part.count == 0 {
        batch.zero()?
    } else {
        (part.sum / part.count as f64)?
    };
    Ok(Reduced::new(loss, part.count, term.count()))
}

impl Reducer for ThresholdReducer {
    fn reduce_term(&self, term: &Term, batch: &Batch) -> Result<Reduced> {
        mean_within(term, batch, self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Values, gradient_and_loss};
    use dml_core::Error;

    fn reducer(low: Option<f64>, high: Option<f64>) -> ThresholdReducer {
        ThresholdReducer::new(ThresholdReducerConfig { low, high }).unwrap()
    }

    #[test]
    fn bounds_are_strict() -> Result<()> {
        for values in Values::of_every_kind(&[1.0, 2.0, 6.0]) {
            for (low, high, loss, kept, slopes) in [
                (Some(1.0), None, 4.0, 2, [0.0, 0.5, 0.5]),
                (None, Some(6.0), 1.5, 2, [0.5, 0.5, 0.0]),
                (Some(1.0), Some(6.0), 2.0, 1, [0.0, 1.0, 0.0]),
                (Some(-1.0), Some(f64::INFINITY), 3.0, 3, [1.0 / 3.0; 3]),
            ] {
                let (gradient, reduced) = gradient_and_loss(&reducer(low, high), &values)?;
                assert_eq!(reduced.loss.to_scalar::<f64>()?, loss);
                assert_eq!((reduced.kept, reduced.total), (kept, 3));
                assert_eq!(gradient, slopes);
            }
        }
        Ok(())
    }

    #[test]
    fn an_empty_selection_is_a_zero_that_reaches_the_embeddings() -> Result<()> {
        for (low, high) in [(Some(6.0), None), (Some(2.0), Some(1.0))] {
            for values in Values::of_every_kind(&[1.0, 2.0, 6.0]) {
                let reduced = reducer(low, high).reduce(&values.terms, &values.batch)?;
                assert_eq!((reduced.kept, reduced.total), (0, 3));
                assert_eq!(reduced.loss.to_scalar::<f64>()?, 0.0);
                let store = reduced.loss.backward()?;
                assert!(store.get(values.embeddings.as_tensor()).is_some());
            }
        }
        Ok(())
    }

    #[test]
    fn a_bound_is_needed_and_must_be_a_number() {
        let new = |low, high| ThresholdReducer::new(ThresholdReducerConfig { low, high });
        assert!(matches!(new(None, None), Err(Error::Unsupported { .. })));
        assert!(matches!(
            new(Some(f64::NAN), None),
            Err(Error::InvalidParameter { name: "low", .. })
        ));
        assert!(matches!(
            new(None, Some(f64::NAN)),
            Err(Error::InvalidParameter { name: "high", .. })
        ));
    }
}
