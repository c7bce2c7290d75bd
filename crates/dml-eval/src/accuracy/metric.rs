//! What a metric of a ranking is.

use std::fmt::Debug;
use std::sync::Arc;

/// How many neighbours a metric looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RankDepth {
    /// The first so many.
    First(usize),
    /// As many as there are matches of the query.
    Relevant,
    /// All references.
    All,
}

/// A number for the ranking that one query gets; the average over queries is the metric.
pub trait RankMetric: Debug + Send + Sync {
    /// The metric's name in results.
    fn name(&self) -> String;

    /// How many neighbours it looks at: no more are searched for.
    fn depth(&self) -> RankDepth;

    /// The number for one query: whether each neighbour matches, closest first, and how many references match at
    /// all. That is at least one, unless they are counted as PML does; what is infinite for a count of 0 is left out
    /// of averages.
    ///
    /// There may be fewer neighbours than [`depth`](RankMetric::depth) asks for, and there may be more.
    fn of_query(&self, hits: &[bool], relevant: usize) -> f64;
}

impl<M: RankMetric + ?Sized> RankMetric for Arc<M> {
    fn name(&self) -> String {
        (**self).name()
    }

    fn depth(&self) -> RankDepth {
        (**self).depth()
    }

    fn of_query(&self, hits: &[bool], relevant: usize) -> f64 {
        (**self).of_query(hits, relevant)
    }
}
