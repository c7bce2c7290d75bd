//! Pairs or triplets that are known by a rule instead of a list.

use std::fmt::Debug;
use std::sync::Arc;

use dml_kernels::PairMask;
use dml_kernels::triplet_ranges::TripletRanges;

/// How many tuples there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TupleCount {
    /// Pairs of either kind.
    Pairs {
        /// Positive pairs.
        positive: u64,
        /// Negative pairs.
        negative: u64,
    },
    /// Triplets.
    Triplets(u64),
}

impl TupleCount {
    /// All tuples together.
    #[must_use]
    pub fn total(self) -> u64 {
        match self {
            Self::Pairs { positive, negative } => positive + negative,
            Self::Triplets(count) => count,
        }
    }
}

/// Pairs or triplets that are visited anchor by anchor, each anchor in the memory of one row.
///
/// [`Tuples::from_set`](super::Tuples::from_set) makes tuples of any set. The four required methods are enough for every
/// miner and loss; the provided ones are for sets that can do better.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Relation, Result, TupleCount, TupleSet, Tuples};
///
/// /// Triplets whose negative has the label that follows the anchor's: for classes in an order, such as ages.
/// #[derive(Debug)]
/// struct NextClass {
///     relation: Relation,
///     labels: Vec<i64>,
///     count: u64,
/// }
///
/// impl NextClass {
///     fn new(labels: Vec<i64>) -> Result<Self> {
///         let relation = Relation::labels(labels.as_slice())?;
///         let mut set = Self { relation, labels, count: 0 };
///         let mut count = 0;
///         for anchor in 0..set.anchors() {
///             set.visit(anchor, &mut |p, n| count += (p.len() * n.len()) as u64);
///         }
///         set.count = count;
///         Ok(set)
///     }
/// }
///
/// impl TupleSet for NextClass {
///     fn anchors(&self) -> usize {
///         self.labels.len()
///     }
///
///     fn references(&self) -> usize {
///         self.labels.len()
///     }
///
///     fn count(&self) -> TupleCount {
///         TupleCount::Triplets(self.count)
///     }
///
///     fn visit(&self, anchor: usize, f: &mut dyn FnMut(&[u32], &[u32])) {
///         let (mut positives, mut negatives) = (Vec::new(), Vec::new());
///         self.relation.split(anchor, &mut positives, &mut negatives);
///         negatives.retain(|n| self.labels[*n as usize] == self.labels[anchor] + 1);
///         f(&positives, &negatives);
///     }
/// }
///
/// let labels = vec![0i64, 0, 1, 2];
/// let embeddings = Tensor::zeros((4, 2), dml_core::candle_core::DType::F32, &Device::Cpu)?;
/// let batch = Batch::new(&embeddings, labels.as_slice())?;
/// let tuples = Tuples::from_set(NextClass::new(labels)?);
/// let triplets = tuples.triplets(&batch)?;
/// assert_eq!(triplets.anchors, [0, 1]);
/// assert_eq!(triplets.positives, [1, 0]);
/// assert_eq!(triplets.negatives, [2, 2]);
/// # Ok::<(), dml_core::Error>(())
/// ```
pub trait TupleSet: Debug + Send + Sync {
    /// Number of anchors, with tuples or without: anchors are the query rows below it.
    fn anchors(&self) -> usize;

    /// Number of references: positives and negatives are rows below it.
    fn references(&self) -> usize;

    /// Number of tuples, and whether they are pairs or triplets. Called often: a set keeps its number.
    fn count(&self) -> TupleCount;

    /// Calls `f(positives, negatives)` for the rows that go with an anchor below [`anchors`](Self::anchors).
    ///
    /// - Triplets: each positive of a call with each of its negatives is a triplet. Positives ascend from call to call.
    /// - Pairs: one call with all positives and all negatives of the anchor, each row once.
    fn visit(&self, anchor: usize, f: &mut dyn FnMut(&[u32], &[u32]));

    /// Appends the positives and the negatives of an anchor, each with the number of tuples that it is in.
    fn row_counts(&self, anchor: usize, positives: &mut RowCounts, negatives: &mut RowCounts) {
        if let TupleCount::Pairs { .. } = self.count() {
            return self.visit(anchor, &mut |near, far| {
                positives.rows.extend_from_slice(near);
                negatives.rows.extend_from_slice(far);
            });
        }
        let mut near_counts = vec![0u64; self.references()];
        let mut far_counts = near_counts.clone();
        self.visit(anchor, &mut |near, far| {
            let add = |counts: &mut [u64], rows: &[u32], times: usize| {
                rows.iter()
                    .for_each(|&row| counts[row as usize] += times as u64);
            };
            add(&mut near_counts, near, far.len());
            add(&mut far_counts, far, near.len());
        });
        positives.extend_counted((0..).zip(near_counts));
        negatives.extend_counted((0..).zip(far_counts));
    }

    /// The set as a mask, where it is a set of pairs that can be written as one faster than row by row.
    #[doc(hidden)]
    fn as_mask(self: Arc<Self>) -> Option<Arc<PairMask>> {
        None
    }

    /// The set as intervals of each anchor's sorted negatives, where it is known as these.
    #[doc(hidden)]
    fn as_ranges(self: Arc<Self>) -> Option<Arc<TripletRanges>> {
        None
    }
}

impl dyn TupleSet + '_ {
    /// Appends the rows of [`row_counts`](TupleSet::row_counts) without the numbers; nothing for an anchor that does not
    /// exist.
    pub fn split(&self, anchor: usize, positives: &mut Vec<u32>, negatives: &mut Vec<u32>) {
        let mut near = RowCounts::appending_to(positives);
        let mut far = RowCounts::appending_to(negatives);
        if anchor < self.anchors() {
            self.row_counts(anchor, &mut near, &mut far);
        }
        (*positives, *negatives) = (near.rows, far.rows);
    }
}

/// Reference rows, each with the number of tuples that it is in. A row may stand there several times.
///
/// ```
/// use dml_core::{Relation, RowCounts, TupleSet};
///
/// // Pairs: each row is in one pair with the anchor.
/// let relation = Relation::labels(&[7i64, 7, 8, 7])?;
/// let (mut positives, mut negatives) = (RowCounts::default(), RowCounts::default());
/// relation.row_counts(0, &mut positives, &mut negatives);
/// assert_eq!((positives.rows, negatives.rows), (vec![1, 3], vec![2]));
/// assert!(positives.times.is_empty() && negatives.times.is_empty());
///
/// // Triplets (0, 1, 2) and (0, 3, 2): the negative is in both.
/// let mut negatives = RowCounts::default();
/// negatives.extend_counted((0..).zip([0, 0, 2, 0]));
/// assert_eq!((negatives.rows, negatives.times), (vec![2], vec![2]));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Reference rows.
    pub rows: Vec<u32>,
    /// Number of tuples of each row; empty where each is in one.
    pub times: Vec<u64>,
}

impl RowCounts {
    /// No counts yet, in the memory of a list of rows that [`rows`](Self::rows) goes back to.
    #[must_use]
    pub fn appending_to(rows: &mut Vec<u32>) -> Self {
        Self {
            rows: std::mem::take(rows),
            times: Vec::new(),
        }
    }

    /// Appends the rows whose number is above 0.
    pub fn extend_counted(&mut self, counted: impl Iterator<Item = (u32, u64)>) {
        for (row, times) in counted.filter(|(_, times)| *times > 0) {
            self.rows.push(row);
            self.times.push(times);
        }
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.times.clear();
    }

    /// `(row, times)` in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let times = |i: usize| self.times.get(i).copied().unwrap_or(1);
        let rows = self.rows.iter().enumerate();
        rows.map(move |(i, row)| (*row as usize, times(i)))
    }
}
