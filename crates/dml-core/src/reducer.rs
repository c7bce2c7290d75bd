//! Turning the terms of a loss into one number.

use std::fmt::Debug;
use std::sync::Arc;

use candle_core::Tensor;

use crate::{Batch, Over, Result, Term, Terms};

/// What a reducer made of a term.
#[derive(Clone, Debug)]
pub struct Reduced {
    /// The scalar to be minimised.
    pub loss: Tensor,
    /// How many values took part.
    pub kept: u64,
    /// How many values there were.
    pub total: u64,
}

impl Reduced {
    /// The sum of the reduced terms of a loss; 0, attached to the graph, if there are none.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if Candle cannot do it.
    pub fn sum(parts: &[(&'static str, Self)], batch: &Batch) -> Result<Self> {
        let Some(((_, first), others)) = parts.split_first() else {
            return empty(batch);
        };
        let mut sum = first.clone();
        for (_, part) in others {
            sum = Self {
                loss: (sum.loss + &part.loss)?,
                kept: sum.kept + part.kept,
                total: sum.total + part.total,
            };
        }
        Ok(sum)
    }
}

/// Reduces the terms of a loss to a scalar. A reducer knows no loss. NaN among the values makes the scalar NaN: it lies
/// outside of no bounds ([`Term::sum_within`]).
pub trait Reducer: Debug + Send + Sync {
    /// Reduces one term that is neither empty nor reduced already.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) for a kind of term that it has no meaning for.
    fn reduce_term(&self, term: &Term, batch: &Batch) -> Result<Reduced>;

    /// Reduces every term and adds the results. An empty term counts 0, a term over a scalar counts as it is.
    ///
    /// # Errors
    /// As [`reduce_term`](Reducer::reduce_term).
    fn reduce(&self, terms: &Terms, batch: &Batch) -> Result<Reduced> {
        Reduced::sum(&self.reduce_each(terms, batch)?, batch)
    }

    /// Reduces every term, by name.
    ///
    /// # Errors
    /// As [`reduce_term`](Reducer::reduce_term).
    fn reduce_each(&self, terms: &Terms, batch: &Batch) -> Result<Vec<(&'static str, Reduced)>> {
        let reduced = |term: &Term| Ok((term.name(), self.reduce_any(term, batch)?));
        terms.iter().map(reduced).collect()
    }

    /// Reduces one term of any kind: an empty one to 0, one over a scalar to itself.
    ///
    /// # Errors
    /// As [`reduce_term`](Reducer::reduce_term).
    fn reduce_any(&self, term: &Term, batch: &Batch) -> Result<Reduced> {
        if term.is_empty() {
            return empty(batch);
        }
        if term.over() == Over::Scalar {
            let (values, _) = term.values()?;
            return Ok(Reduced {
                loss: values.sum_all()?,
                kept: 1,
                total: 1,
            });
        }
        self.reduce_term(term, batch)
    }
}

fn empty(batch: &Batch) -> Result<Reduced> {
    Ok(Reduced {
        loss: batch.zero()?,
        kept: 0,
        total: 0,
    })
}

macro_rules! forward {
    ($($t:ty),*) => {$(
        impl<R: Reducer + ?Sized> Reducer for $t {
            fn reduce_term(&self, term: &Term, batch: &Batch) -> Result<Reduced> {
                (**self).reduce_term(term, batch)
            }
            fn reduce(&self, terms: &Terms, batch: &Batch) -> Result<Reduced> {
                (**self).reduce(terms, batch)
            }
            fn reduce_each(
                &self,
                terms: &Terms,
                batch: &Batch,
            ) -> Result<Vec<(&'static str, Reduced)>> {
                (**self).reduce_each(terms, batch)
            }
            fn reduce_any(&self, term: &Term, batch: &Batch) -> Result<Reduced> {
                (**self).reduce_any(term, batch)
            }
        }
    )*};
}
forward!(&R, Box<R>, Arc<R>);
