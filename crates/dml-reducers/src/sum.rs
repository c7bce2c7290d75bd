//! The sum of all values.
//!
//! ```text
//! L = Σ ℓᵢ
//! ```

use dml_core::{Batch, Reduced, Reducer, Result, Term};

/// Sum of all values of a term ([formula](self)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SumReducer;

impl Reducer for SumReducer {
    fn reduce_term(&self, term: &Term, _: &Batch) -> Result<Reduced> {
        let part = term.sum_within(None, None)?;
        Ok(Reduced::new(part.sum, part.count, term.count()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Values, gradient_and_loss};

    #[test]
    fn one_two_six_make_nine() -> Result<()> {
        for values in Values::of_every_kind(&[1.0, 2.0, 6.0]) {
            let (gradient, reduced) = gradient_and_loss(&SumReducer, &values)?;
            assert_eq!(reduced.loss.to_scalar::<f64>()?, 9.0);
            assert_eq!((reduced.kept, reduced.total), (3, 3));
            assert_eq!(gradient, [1.0; 3]);
        }
        Ok(())
    }
}
