//! A reducer for each part of a loss, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use dml_core::{Batch, Reduced, Reducer, Result, Term};

/// Reduces each term with the reducer of its name, the others with a default one, and adds the results.
///
/// A name that no term has changes nothing, as losses name their terms by what they found in the batch.
///
/// ```
/// use dml_core::{Batch, Indices, Over, Reducer, Term, Terms, candle_core::{Device, Tensor}};
/// use dml_reducers::{MeanReducer, MultipleReducers, SumReducer};
///
/// let reducer = MultipleReducers::new(MeanReducer).with("neg_loss", SumReducer);
/// let batch = Batch::new(&Tensor::new(&[[0f32], [1.]], &Device::Cpu)?, &[0i64, 1])?;
/// let term = |name, values: [f32; 2]| Term::explicit(
///     name, Over::Elements, Tensor::new(&values, &Device::Cpu)?, Indices::Elements(vec![0, 1]));
/// let terms: Terms = [term("pos_loss", [1., 2.])?, term("neg_loss", [10., 20.])?].into_iter().collect();
/// assert_eq!(reducer.reduce(&terms, &batch)?.loss.to_scalar::<f32>()?, 1.5 + 30.0);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MultipleReducers {
    reducers: BTreeMap<String, Arc<dyn Reducer>>,
    default: Arc<dyn Reducer>,
}

impl MultipleReducers {
    /// `default_reducer` reduces terms without a reducer of their own; PyTorch Metric Learning takes the mean.
    #[must_use]
    pub fn new(default_reducer: impl Reducer + 'static) -> Self {
        Self {
            reducers: BTreeMap::new(),
            default: Arc::new(default_reducer),
        }
    }

    /// Reduces the term called `name`, such as `pos_loss`, with `reducer`.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, reducer: impl Reducer + 'static) -> Self {
        self.reducers.insert(name.into(), Arc::new(reducer));
        self
    }

    fn of(&self, term: &Term) -> &dyn Reducer {
        self.reducers.get(term.name()).unwrap_or(&self.default)
    }
}

impl Reducer for MultipleReducers {
    fn reduce_term(&self, term: &Term, batch: &Batch) -> Result<Reduced> {
        self.of(term).reduce_term(term, batch)
    }

    fn reduce_any(&self, term: &Term, batch: &Batch) -> Result<Reduced> {
        self.of(term).reduce_any(term, batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Values, gradient_and_loss};
    use crate::{DivisorReducer, MeanReducer, SumReducer};
    use dml_core::Terms;

    #[test]
    fn a_term_is_reduced_by_the_reducer_of_its_name() -> Result<()> {
        for values in Values::of_every_kind(&[1.0, 2.0, 6.0]) {
            // The terms of `values` are called `loss`.
            let by_name = MultipleReducers::new(MeanReducer)
                .with("loss", SumReducer)
                .with("absent", DivisorReducer);
            let reduced = gradient_and_loss(&by_name, &values)?.1;
            assert_eq!(reduced.loss.to_scalar::<f64>()?, 9.0);
            let other = MultipleReducers::new(MeanReducer).with("pos_loss", SumReducer);
            let reduced = gradient_and_loss(&other, &values)?.1;
            assert_eq!(reduced.loss.to_scalar::<f64>()?, 3.0);
        }
        Ok(())
    }

    #[test]
    fn an_empty_term_is_zero_whoever_reduces_it() -> Result<()> {
        let values = Values::of_every_kind(&[1.0, 2.0, 6.0]).remove(0);
        let reducer = MultipleReducers::new(MeanReducer).with("loss", DivisorReducer);
        let terms: Terms = Term::empty("loss").into();
        let reduced = reducer.reduce(&terms, &values.batch)?;
        assert_eq!(reduced.loss.to_scalar::<f64>()?, 0.0);
        reduced.loss.backward()?;
        Ok(())
    }
}
