//! Which labels match, where it is not equal ones.

use std::fmt::Debug;
use std::sync::Arc;

use dml_core::{Labels, Relation, Result};

/// Makes the relation of rows from their labels: PML's `label_comparison_fn`.
///
/// ```
/// use dml_core::{Batch, Error, Labels, Relation, Result, PairKind, candle_core::{Device, Tensor}};
/// use dml_eval::{AccuracyCalculator, FlatIndex, LabelRelation};
///
/// /// Labels match if they are next to each other.
/// #[derive(Debug)]
/// struct Neighboring;
///
/// impl LabelRelation for Neighboring {
///     fn relation(&self, query: &[Labels], reference: &[Labels]) -> Result<Relation> {
///         let (query, reference) = (query[0].clone(), reference[0].clone());
///         Ok(Relation::closure(query.len(), reference.len(), move |q, r| {
///             match query.as_slice()[q].abs_diff(reference.as_slice()[r]) {
///                 1 => PairKind::POSITIVE,
///                 _ => PairKind::NEGATIVE,
///             }
///         }))
///     }
/// }
///
/// let rows = Tensor::new(&[[0f32], [1.], [1.5], [9.]], &Device::Cpu)?;
/// let calculator = AccuracyCalculator::new(Default::default(), FlatIndex::default())?
///     .with_label_relation(Neighboring);
/// let accuracies = calculator.get_accuracy(&Batch::new(&rows, [3i64, 4, 6, 5])?)?;
/// // The nearest of 0 is 1, which matches; that of 1 is 1.5, which does not; nor do those of 1.5; 9 finds 1.5.
/// assert_eq!(accuracies.get("precision_at_1").unwrap().per_query, [1., 0., 0., 1.]);
/// # Ok::<(), Error>(())
/// ```
pub trait LabelRelation: Debug + Send + Sync {
    /// Who matches whom: `query` and `reference` hold the labels that are compared, and behind them those of the levels
    /// above, as far as they are known. Which reference is which query need not be said: that is known besides.
    ///
    /// # Errors
    /// [`Error::Missing`](dml_core::Error::Missing) if more levels are needed than there are.
    fn relation(&self, query: &[Labels], reference: &[Labels]) -> Result<Relation>;
}

dml_core::forward!(LabelRelation for [Arc<T>] {
    fn relation(&self, query: &[Labels], reference: &[Labels]) -> Result<Relation>;
});
