//! Reducers: from the terms of a loss to one number.

use std::fmt::Debug;
use std::sync::Arc;

use candle_core::Tensor;

use crate::forward;
use crate::{Batch, Over, Result, Term, Terms};

/// Result of a reduction.
///
/// ```
/// use dml_core::{Batch, Reduced, candle_core::{Device, Tensor}};
///
/// let number = |x: f32| Tensor::new(x, &Device::Cpu);
/// let parts = [("pos_loss", Reduced::new(number(1.)?, 2, 4)), ("neg_loss", Reduced::new(number(3.)?, 5, 6))];
/// let batch = Batch::new(&Tensor::new(&[[1f32, 0.]], &Device::Cpu)?, &[0i64])?;
/// let sum = Reduced::sum(&parts, &batch)?;
/// assert_eq!((sum.loss.to_scalar::<f32>()?, sum.kept, sum.total), (4., 7, 10));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reduced {
    /// Scalar to be minimised.
    pub loss: Tensor,
    /// Number of values that took part.
    pub kept: u64,
    /// Number of values before the reduction.
    pub total: u64,
}

impl Reduced {
    /// A scalar that `kept` of `total` values took part in.
    #[must_use]
    pub fn new(loss: Tensor, kept: u64, total: u64) -> Self {
        Self { loss, kept, total }
    }

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
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Indices, Over, Reduced, Reducer, Result, Term};
///
/// /// The mean of the values above 0.
/// #[derive(Debug)]
/// struct MeanOfPositives;
///
/// impl Reducer for MeanOfPositives {
///     fn reduce_term(&self, term: &Term, batch: &Batch) -> Result<Reduced> {
///         let part = term.sum_within(Some(0.0), None)?;
///         let mean = match part.count {
///             0 => batch.zero()?,
///             count => (part.sum / count as f64)?,
///         };
///         Ok(Reduced::new(mean, part.count, term.count()))
///     }
/// }
///
/// let rows = Tensor::new(&[[1f32], [2.], [3.]], &Device::Cpu)?;
/// let batch = Batch::new(&rows, &[0i64, 1, 2])?;
/// let values = Tensor::new(&[0f32, 2., 4.], &Device::Cpu)?;
/// let term = Term::explicit("loss", Over::Elements, values, Indices::Elements(vec![0, 1, 2]))?;
/// let reduced = MeanOfPositives.reduce(&term.into(), &batch)?;
/// assert_eq!((reduced.loss.to_scalar::<f32>()?, reduced.kept, reduced.total), (3., 2, 3));
/// # Ok::<(), dml_core::Error>(())
/// ```
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
            return Ok(Reduced::new(values.sum_all()?, 1, 1));
        }
        self.reduce_term(term, batch)
    }
}

fn empty(batch: &Batch) -> Result<Reduced> {
    Ok(Reduced::new(batch.zero()?, 0, 0))
}

forward!(Reducer for [&T, Box<T>, Arc<T>] {
    fn reduce_term(&self, term: &Term, batch: &Batch) -> Result<Reduced>;
    fn reduce(&self, terms: &Terms, batch: &Batch) -> Result<Reduced>;
    fn reduce_each(&self, terms: &Terms, batch: &Batch) -> Result<Vec<(&'static str, Reduced)>>;
    fn reduce_any(&self, term: &Term, batch: &Batch) -> Result<Reduced>;
});
