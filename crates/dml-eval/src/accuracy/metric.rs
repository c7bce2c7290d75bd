//! What a metric of a ranking is.

use std::fmt::Debug;
use std::sync::Arc;

/// Number of neighbours that a metric sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RankDepth {
    /// The first neighbours, this number of them.
    First(usize),
    /// As many as there are matches of the query.
    Relevant,
    /// All references.
    All,
}

/// A number for the ranking that one query gets; the average over queries is the metric.
///
/// ```
/// use dml_core::{Batch, candle_core::{Device, Tensor}};
/// use dml_eval::{AccuracyCalculator, FlatIndex, RankDepth, RankMetric};
///
/// /// Whether both of the two nearest neighbours match.
/// #[derive(Debug)]
/// struct BothOfTwo;
///
/// impl RankMetric for BothOfTwo {
///     fn name(&self) -> String {
///         "both_of_two".to_owned()
///     }
///     fn depth(&self) -> RankDepth {
///         RankDepth::First(2)
///     }
///     fn of_query(&self, hits: &[bool], _relevant: usize) -> f64 {
///         f64::from(hits.iter().take(2).filter(|hit| **hit).count() == 2)
///     }
/// }
///
/// let calculator = AccuracyCalculator::new(Default::default(), FlatIndex::default())?.with_metric(BothOfTwo);
/// let rows = Tensor::new(&[[0f32], [1.], [2.], [9.]], &Device::Cpu)?;
/// let found = calculator.get_accuracy(&Batch::new(&rows, [0i64, 0, 0, 1])?)?;
/// assert_eq!(found.get("both_of_two").unwrap().value, 1.0);
/// # Ok::<(), dml_core::Error>(())
/// ```
pub trait RankMetric: Debug + Send + Sync {
    /// The metric's name in results.
    fn name(&self) -> String;

    /// Number of neighbours that it sees: no more are searched for.
    fn depth(&self) -> RankDepth;

    /// The number for one query: whether each neighbour matches, closest first, and how many references match at
    /// all. That is at least one, unless they are counted as PML does; what is infinite for a count of 0 is left out
    /// of averages.
    ///
    /// There may be fewer neighbours than [`depth`](RankMetric::depth) asks for, and there may be more.
    fn of_query(&self, hits: &[bool], relevant: usize) -> f64;
}

dml_core::forward!(RankMetric for [Arc<T>] {
    fn name(&self) -> String;
    fn depth(&self) -> RankDepth;
    fn of_query(&self, hits: &[bool], relevant: usize) -> f64;
});
