//! The positives and the negatives of each anchor, whatever form the tuples have.
//!
//! Pairs of a list count as often as they are listed. Of triplets each (anchor, positive) and each (anchor, negative)
//! counts as often as triplets have it; that is a number beside the pair, so a mined set of millions of triplets is
//! never written out. Losses that take pairs as a set ask for the tuples' mask instead.
//!
//! The weight of a pair comes from the relation of the batch. A loss that reads weights asks for
//! [`weighted`](AnchorPairs::weighted) or [`weighted_distinct`](AnchorPairs::weighted_distinct) pairs;
//! [`listed`](AnchorPairs::listed) refuses a relation that has some.

mod tensors;

use std::sync::Arc;

use dml_core::kernels::Real;
use dml_core::{Batch, PairKind, Relation, Result, RowCounts, TupleCount, TupleSet, Tuples, check};

use super::class_order::ClassOrder;

pub(crate) use tensors::Counted;

/// The pairs of every anchor of a batch.
#[derive(Clone, Debug)]
pub(crate) struct AnchorPairs {
    batch: Batch,
    set: Arc<dyn TupleSet>,
    /// As `set`, where it is everything that labels allow.
    classes: Option<Arc<ClassOrder>>,
    /// Whether `set` is everything that the relation allows.
    is_all: bool,
    /// Whether no pair is there twice.
    is_distinct: bool,
    counts: (u64, u64),
    /// The relation that the weights of the pairs come from; `None` where each is 1.
    weights: Option<Relation>,
}

/// Reference rows of one kind of one anchor; with values and slopes, one side of a formula.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side<T> {
    /// Which reference rows.
    pub(crate) rows: Vec<u32>,
    /// How often each counts; empty where each counts once.
    pub(crate) times: Vec<T>,
    /// What the relation says that each weighs; empty where each weighs 1.
    pub(crate) weights: Vec<T>,
    /// What the anchor's row of the matrix says of each.
    pub(crate) x: Vec<T>,
    /// The slope of the anchor's value in each `x`.
    pub(crate) slopes: Vec<T>,
}

/// The positives and the negatives of one anchor, in memory that the next one uses again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Anchor<T> {
    pub(crate) positives: Side<T>,
    pub(crate) negatives: Side<T>,
}

impl<T: Real> Side<T> {
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.times.clear();
        self.weights.clear();
    }

    /// How often the i-th row counts.
    #[inline(always)]
    pub(crate) fn times(&self, i: usize) -> T {
        self.times.get(i).copied().unwrap_or(T::ONE)
    }

    /// The weight of the i-th row.
    #[inline(always)]
    pub(crate) fn weight(&self, i: usize) -> T {
        self.weights.get(i).copied().unwrap_or(T::ONE)
    }

    /// Takes rows that were appended to the memory of this side.
    fn put(&mut self, counts: RowCounts) {
        self.rows = counts.rows;
        let times = counts.times.iter().map(|times| T::from_f64(*times as f64));
        self.times.extend(times);
    }
}

impl AnchorPairs {
    /// The pairs of the tuples, with repeats, each of weight 1.
    ///
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) for a weighted relation; as [`Tuples::count`] and
    /// [`Tuples::check`].
    pub(crate) fn listed(component: &'static str, batch: &Batch, tuples: &Tuples) -> Result<Self> {
        check::unweighted(component, batch)?;
        Self::of_tuples(component, batch, tuples)
    }

    /// The pairs of the tuples, with repeats, with the weights of the relation.
    ///
    /// # Errors
    /// As [`Tuples::count`] and [`Tuples::check`].
    pub(crate) fn weighted(
        component: &'static str,
        batch: &Batch,
        tuples: &Tuples,
    ) -> Result<Self> {
        let is_weighted = |relation: &&Relation| relation.is_weighted();
        Ok(Self {
            weights: batch.relation().filter(is_weighted).cloned(),
            ..Self::of_tuples(component, batch, tuples)?
        })
    }

    /// As [`weighted`](Self::weighted), of the pairs as a set: repeats count once.
    ///
    /// # Errors
    /// As [`Tuples::mask`].
    pub(crate) fn weighted_distinct(
        component: &'static str,
        batch: &Batch,
        tuples: &Tuples,
    ) -> Result<Self> {
        if tuples.is_all() {
            return Self::weighted(component, batch, tuples);
        }
        Self::weighted(component, batch, &tuples.mask(batch)?.into())
    }

    fn of_tuples(component: &'static str, batch: &Batch, tuples: &Tuples) -> Result<Self> {
        let set = tuples.by_anchor(component, batch)?;
        let relation = batch.relation().filter(|_| tuples.is_all());
        let counts = match set.count() {
            TupleCount::Pairs { positive, negative } => (positive, negative),
            TupleCount::Triplets(count) => (count, count),
        };
        Ok(Self {
            batch: batch.clone(),
            set,
            classes: relation.and_then(ClassOrder::new).map(Arc::new),
            is_all: tuples.is_all(),
            is_distinct: !tuples.is_triplets() && tuples.as_pairs().is_none(),
            counts,
            weights: None,
        })
    }

    /// How many positive and how many negative pairs there are, repeats included.
    pub(crate) fn counts(&self) -> (u64, u64) {
        self.counts
    }

    /// Whether there is no positive pair at all, or no negative one.
    pub(crate) fn lacks_a_kind(&self) -> bool {
        self.counts.0 == 0 || self.counts.1 == 0
    }

    /// The anchors that have a positive, in order.
    pub(crate) fn anchors_with_positives(&self) -> Vec<u32> {
        let anchors = 0..self.batch.queries() as u32;
        if let Some(order) = &self.classes {
            return anchors
                .filter(|&q| order.has_positives(q as usize))
                .collect();
        }
        let (mut positives, mut negatives) = (Side::<f32>::default(), Side::default());
        let mut has_positives = |q: &u32| {
            self.of(*q as usize, &mut positives, &mut negatives);
            !positives.rows.is_empty()
        };
        anchors.filter(|q| has_positives(q)).collect()
    }

    /// How many anchors have a value, given whether they have positives and whether they have negatives.
    pub(crate) fn count_anchors(&self, has_value: impl Fn(bool, bool) -> bool) -> u64 {
        let (mut positives, mut negatives) = (Side::<f32>::default(), Side::default());
        let mut count = 0;
        for q in 0..self.batch.queries() {
            let (near, far) = match &self.classes {
                Some(order) => order.has_pairs(q),
                None => {
                    self.of(q, &mut positives, &mut negatives);
                    (!positives.is_empty(), !negatives.is_empty())
                }
            };
            count += u64::from(has_value(near, far));
        }
        count
    }

    pub(crate) fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The pairs of anchor `q`; the sides are empty before.
    pub(crate) fn of<T: Real>(&self, q: usize, positives: &mut Side<T>, negatives: &mut Side<T>) {
        positives.clear();
        negatives.clear();
        if let Some(order) = &self.classes {
            order.split(q, &mut positives.rows, &mut negatives.rows);
        } else if q < self.set.anchors() {
            let mut near = RowCounts::appending_to(&mut positives.rows);
            let mut far = RowCounts::appending_to(&mut negatives.rows);
            self.set.row_counts(q, &mut near, &mut far);
            positives.put(near);
            negatives.put(far);
        }
        if let Some(relation) = &self.weights {
            // A pair that was given against the relation weighs 1.
            let near = |row: &u32| match relation.pair_kind_as_distinct(q, *row as usize) {
                PairKind::Positive(weight) => T::from_f64(weight.into()),
                PairKind::Negative(_) | PairKind::Ignored => T::ONE,
            };
            let far = |row: &u32| match relation.pair_kind_as_distinct(q, *row as usize) {
                PairKind::Negative(weight) => T::from_f64(weight.into()),
                PairKind::Positive(_) | PairKind::Ignored => T::ONE,
            };
            positives.weights.extend(positives.rows.iter().map(near));
            negatives.weights.extend(negatives.rows.iter().map(far));
        }
    }
}
