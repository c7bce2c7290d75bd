//! The positives and the negatives of each anchor, whatever form the tuples have.
//!
//! Pairs of a list count as often as they are listed. Of triplets each (anchor, positive) and each (anchor, negative)
//! counts as often as triplets have it; that is a number beside the pair, so a mined set of millions of triplets is
//! never written out. Losses that take pairs as a set ask for the tuples' mask instead.
//!
//! The weight of a pair comes from the relation of the batch, for losses that read weights ([`Loss::reads_weights`]).

mod tensors;

use std::sync::Arc;

use dml_core::kernels::Real;
use dml_core::{
    Batch, Loss, Over, PairKind, Relation, Result, RowCounts, TupleCount, TupleSet, Tuples,
};

use crate::machinery::anchor_formula::Needs;
use crate::machinery::class_order::ClassOrder;
use crate::machinery::side::{Anchor, Side};

pub(crate) use tensors::PairWeights;

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

impl AnchorPairs {
    /// The pairs of the tuples, with repeats; with the weights of the relation where the loss reads weights, else each of
    /// weight 1.
    ///
    /// # Errors
    /// As [`Tuples::by_anchor`].
    pub(crate) fn listed(
        loss: &dyn Loss,
        component: &'static str,
        batch: &Batch,
        tuples: &Tuples,
    ) -> Result<Self> {
        let is_read = |relation: &&Relation| loss.reads_weights() && relation.is_weighted();
        Ok(Self {
            weights: batch.relation().filter(is_read).cloned(),
            ..Self::of_tuples(component, batch, tuples)?
        })
    }

    /// As [`listed`](Self::listed), of the pairs as a set: repeats count once.
    ///
    /// # Errors
    /// As [`Tuples::mask`].
    pub(crate) fn distinct(
        loss: &dyn Loss,
        component: &'static str,
        batch: &Batch,
        tuples: &Tuples,
    ) -> Result<Self> {
        if tuples.is_all() {
            return Self::listed(loss, component, batch, tuples);
        }
        Self::listed(loss, component, batch, &tuples.mask(batch)?.into())
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
        let mut anchor = Anchor::<f32>::default();
        let anchors = 0..self.batch.queries();
        let anchors = anchors.filter(|q| self.has_pairs(*q, &mut anchor).0);
        anchors.map(|q| q as u32).collect()
    }

    /// How many anchors have the pairs that a formula needs.
    pub(crate) fn count_anchors(&self, needs: Needs) -> u64 {
        let mut anchor = Anchor::<f32>::default();
        let has_value = |q: &usize| {
            let (positives, negatives) = self.has_pairs(*q, &mut anchor);
            needs.are_met(positives, negatives)
        };
        (0..self.batch.queries()).filter(has_value).count() as u64
    }

    /// Whether anchor `q` has positives, and whether it has negatives.
    fn has_pairs(&self, q: usize, anchor: &mut Anchor<f32>) -> (bool, bool) {
        if let Some(order) = &self.classes {
            return order.has_pairs(q);
        }
        self.find(q, anchor);
        (!anchor.positives.is_empty(), !anchor.negatives.is_empty())
    }

    pub(crate) fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The pairs of one kind of anchor `q`, with their entries of its row of the matrix.
    pub(crate) fn read<'a, T: Real>(
        &self,
        q: usize,
        over: Over,
        row: &[T],
        anchor: &'a mut Anchor<T>,
    ) -> &'a mut Side<T> {
        self.find(q, anchor);
        let side = anchor.side(over);
        side.read(row);
        side
    }

    /// Finds the pairs of anchor `q`.
    pub(crate) fn find<T: Real>(&self, q: usize, anchor: &mut Anchor<T>) {
        let Anchor {
            positives,
            negatives,
        } = anchor;
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
