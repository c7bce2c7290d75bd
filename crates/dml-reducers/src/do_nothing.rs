//! No reduction: for those who want the values themselves.

use dml_core::{Batch, Error, Reduced, Reducer, Result, Term, Terms};

/// Refuses to reduce, and says where the values are: [`Objective::terms`](dml_core::Objective::terms) gives the
/// terms of a loss with their rows, unreduced, without asking any reducer.
///
/// ```
/// use dml_core::{Batch, Error, Reducer, Terms, candle_core::{Device, Tensor}};
/// use dml_reducers::DoNothingReducer;
///
/// let batch = Batch::new(&Tensor::new(&[[0f32], [1.]], &Device::Cpu)?, &[0i64, 1])?;
/// let error = DoNothingReducer.reduce(&Terms::default(), &batch).unwrap_err();
/// assert!(error.to_string().contains("Objective::terms"));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DoNothingReducer;

const REFUSED: Error = Error::unsupported(
    "DoNothingReducer",
    "there is no number to minimise; take the values from Objective::terms",
);

impl Reducer for DoNothingReducer {
    fn reduce_term(&self, _: &Term, _: &Batch) -> Result<Reduced> {
        Err(REFUSED)
    }

    fn reduce(&self, _: &Terms, _: &Batch) -> Result<Reduced> {
        Err(REFUSED)
    }

    fn reduce_each(&self, _: &Terms, _: &Batch) -> Result<Vec<(&'static str, Reduced)>> {
        Err(REFUSED)
    }

    fn reduce_any(&self, _: &Term, _: &Batch) -> Result<Reduced> {
        Err(REFUSED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Values;

    #[test]
    fn every_way_of_reducing_is_refused() {
        for values in Values::of_every_kind(&[1.0, 2.0, 6.0]) {
            let term = values.terms.iter().next().unwrap();
            for result in [
                DoNothingReducer.reduce(&values.terms, &values.batch),
                DoNothingReducer.reduce_term(term, &values.batch),
                DoNothingReducer.reduce_any(&Term::empty("loss"), &values.batch),
            ] {
                assert!(matches!(
                    result,
                    Err(Error::Unsupported {
                        component: "DoNothingReducer",
                        ..
                    })
                ));
            }
        }
    }
}
