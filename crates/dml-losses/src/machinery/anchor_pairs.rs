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

use dml_core::kernels::triplet_ranges::TripletRanges;
use dml_core::kernels::{PairMask, Real, TripletSet};
use dml_core::{Batch, ClassOrder, Over, PairKind, Relation, Result, TupleCount, Tuples, check};

use crate::machinery::anchor_formula::Needs;
use crate::machinery::side::{Anchor, Side};

pub(crate) use tensors::PairWeights;

/// The pairs of every anchor of a batch.
#[derive(Clone, Debug)]
pub(crate) struct AnchorPairs {
    batch: Batch,
    form: Form,
    counts: (u64, u64),
    /// The relation that the weights of the pairs come from; `None` where each is 1.
    weights: Option<Relation>,
}

#[derive(Clone, Debug)]
enum Form {
    /// Everything that the relation allows.
    Relation,
    /// As `Relation`, of labels.
    Classes(Arc<ClassOrder>),
    Mask(Arc<PairMask>),
    Lists(Arc<[Vec<u32>]>, Arc<[Vec<u32>]>),
    Ranges(Arc<TripletRanges>),
    Set(Arc<dyn TripletSet>),
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
        match tuples {
            Tuples::All => Self::weighted(component, batch, tuples),
            _ => Self::weighted(component, batch, &tuples.mask(batch)?.into()),
        }
    }

    fn of_tuples(component: &'static str, batch: &Batch, tuples: &Tuples) -> Result<Self> {
        tuples.check(batch)?;
        let group = |keys: &[u32], values: &[u32]| -> Arc<[Vec<u32>]> {
            let mut groups = vec![Vec::new(); batch.queries()];
            for (&key, &value) in keys.iter().zip(values) {
                groups[key as usize].push(value);
            }
            groups.into()
        };
        let form = match tuples {
            Tuples::All => {
                let order = batch.require_relation(component)?.class_order();
                order.map_or(Form::Relation, |order| Form::Classes(Arc::new(order)))
            }
            Tuples::Mask(mask) => Form::Mask(mask.clone()),
            Tuples::Pairs(pairs) => Form::Lists(
                group(&pairs.positive_anchors, &pairs.positives),
                group(&pairs.negative_anchors, &pairs.negatives),
            ),
            Tuples::Triplets(list) => Form::Lists(
                group(&list.anchors, &list.positives),
                group(&list.anchors, &list.negatives),
            ),
            Tuples::Ranges(ranges) => Form::Ranges(ranges.clone()),
            Tuples::Gaps(gaps) => Form::Ranges(gaps.ranges()?),
            Tuples::Lazy(set) => Form::Set(set.clone()),
        };
        Self::new(batch, tuples, form)
    }

    fn new(batch: &Batch, tuples: &Tuples, form: Form) -> Result<Self> {
        let counts = match tuples.count(batch)? {
            TupleCount::Pairs { positive, negative } => (positive, negative),
            TupleCount::Triplets(count) => (count, count),
        };
        Ok(Self {
            batch: batch.clone(),
            form,
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
        if let Form::Classes(order) = &self.form {
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

    /// How many anchors have the pairs that a formula needs.
    pub(crate) fn count_anchors(&self, needs: Needs) -> u64 {
        let (mut positives, mut negatives) = (Side::<f32>::default(), Side::default());
        let mut count = 0;
        for q in 0..self.batch.queries() {
            let (near, far) = match &self.form {
                Form::Classes(order) => order.has_pairs(q),
                _ => {
                    self.of(q, &mut positives, &mut negatives);
                    (!positives.is_empty(), !negatives.is_empty())
                }
            };
            count += u64::from(needs.are_met(near, far));
        }
        count
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
        self.of(q, &mut anchor.positives, &mut anchor.negatives);
        let side = anchor.side(over);
        side.read(row);
        side
    }

    /// The pairs of anchor `q`; the sides are empty before.
    pub(crate) fn of<T: Real>(&self, q: usize, positives: &mut Side<T>, negatives: &mut Side<T>) {
        positives.clear();
        negatives.clear();
        match &self.form {
            Form::Relation => {
                if let Some(relation) = self.batch.relation() {
                    relation.split(q, &mut positives.rows, &mut negatives.rows);
                }
            }
            Form::Classes(order) => order.split(q, &mut positives.rows, &mut negatives.rows),
            Form::Mask(mask) => {
                positives.rows.extend(mask.positives(q));
                negatives.rows.extend(mask.negatives(q));
            }
            Form::Lists(near, far) => {
                positives.rows.extend_from_slice(&near[q]);
                negatives.rows.extend_from_slice(&far[q]);
            }
            Form::Ranges(ranges) if q < ranges.anchors() => {
                let spans = ranges.spans(q);
                let length = |start: u32, end: u32| u64::from(end.saturating_sub(start));
                let spanned = spans.iter().map(|s| (s.positive, length(s.start, s.end)));
                positives.extend_counted(spanned);
                let mut counted = Vec::new();
                ranges.for_each_negative(q, &mut Vec::new(), |n, times| counted.push((n, times)));
                negatives.extend_counted(counted.into_iter());
            }
            Form::Set(set) if q < set.anchors() => {
                let mut near = vec![0u64; self.batch.references()];
                let mut far = near.clone();
                set.for_anchor(q, &mut |p, negatives| {
                    near[p as usize] += negatives.len() as u64;
                    negatives.iter().for_each(|&n| far[n as usize] += 1);
                });
                positives.extend_counted((0..).zip(near));
                negatives.extend_counted((0..).zip(far));
            }
            Form::Ranges(_) | Form::Set(_) => {}
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
