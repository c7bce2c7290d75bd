//! Which pairs or triplets count: one set, in the form that costs least.
//!
//! - [`Tuples::All`]: everything the batch's relation allows; nothing is stored.
//! - [`Tuples::Pairs`], [`Tuples::Triplets`]: lists of rows, as a user hands them in; order and duplicates are kept.
//! - [`Tuples::Mask`]: two bits for each pair of the batch.
//! - [`Tuples::Ranges`]: intervals of each anchor's sorted negatives. At batch 1,024 with 10 classes there are 43
//!   million triplets; as ranges they take 5 MB, and counting them is free.
//! - [`Tuples::Gaps`]: what ranges would hold, while the distances stay on a device that has kernels for it.
//! - [`Tuples::Lazy`]: triplets known by a rule that is asked anchor by anchor.
//!
//! Anchors are query rows; positives and negatives are reference rows.

mod appearances;
mod gaps;
mod mask;
mod pairs;
mod random;
mod ranges;
mod triplets;

use std::sync::Arc;

use dml_kernels::triplet_ranges::{GapInterval, TripletRanges};
use dml_kernels::{PairMask, TripletSet};

use crate::{Batch, Error, Order, Result};
use candle_core::Tensor;

pub use gaps::GapTriplets;
pub use mask::mask_tensors;
pub use pairs::Pairs;
pub use random::PerAnchor;
pub use ranges::triplet_ranges;
pub use triplets::Triplets;

/// Pairs or triplets of a batch; see the [module](self). Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub enum Tuples {
    /// Everything the relation of the batch allows.
    #[default]
    All,
    /// Positive and negative pairs by row.
    Pairs(Arc<Pairs>),
    /// Triplets by row.
    Triplets(Arc<Triplets>),
    /// Positive and negative pairs as one bit each.
    Mask(Arc<PairMask>),
    /// Triplets as intervals of sorted negatives.
    Ranges(Arc<TripletRanges>),
    /// Triplets by their gap in a matrix that stays on its device.
    Gaps(Arc<GapTriplets>),
    /// Triplets by a rule.
    Lazy(Arc<dyn TripletSet>),
}

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

impl From<Pairs> for Tuples {
    fn from(pairs: Pairs) -> Self {
        Self::Pairs(Arc::new(pairs))
    }
}

impl From<Triplets> for Tuples {
    fn from(triplets: Triplets) -> Self {
        Self::Triplets(Arc::new(triplets))
    }
}

impl From<PairMask> for Tuples {
    fn from(mask: PairMask) -> Self {
        Self::Mask(Arc::new(mask))
    }
}

impl From<Arc<PairMask>> for Tuples {
    fn from(mask: Arc<PairMask>) -> Self {
        Self::Mask(mask)
    }
}

impl From<TripletRanges> for Tuples {
    fn from(ranges: TripletRanges) -> Self {
        Self::Ranges(Arc::new(ranges))
    }
}

impl Tuples {
    /// Checks that every row exists in `batch`.
    ///
    /// # Errors
    /// [`Error::Index`] for a row outside of the batch, [`Error::Length`] for a set over more rows than there are.
    pub fn check(&self, batch: &Batch) -> Result<()> {
        match self {
            Self::All => Ok(()),
            Self::Pairs(pairs) => pairs.check(batch),
            Self::Triplets(triplets) => triplets.check(batch),
            Self::Mask(mask) => {
                check_rows("queries", mask.queries(), batch.queries())?;
                check_rows("references", mask.references(), batch.references())
            }
            Self::Ranges(ranges) => ranges::check(ranges, batch),
            Self::Gaps(gaps) => {
                check_rows("anchors", gaps.anchors(), batch.queries())?;
                check_rows("references", gaps.references(), batch.references())
            }
            Self::Lazy(set) => {
                check_rows("anchors", set.anchors(), batch.queries())?;
                check_rows("references", set.references(), batch.references())
            }
        }
    }

    /// How many tuples there are. Nothing is expanded.
    ///
    /// # Errors
    /// [`Error::Missing`] for [`Tuples::All`] of a batch without a relation.
    pub fn count(&self, batch: &Batch) -> Result<TupleCount> {
        Ok(match self {
            Self::All => {
                let (positive, negative) = batch.require_relation("Tuples::count")?.counts();
                TupleCount::Pairs { positive, negative }
            }
            Self::Pairs(pairs) => TupleCount::Pairs {
                positive: pairs.positives.len() as u64,
                negative: pairs.negatives.len() as u64,
            },
            Self::Triplets(triplets) => TupleCount::Triplets(triplets.len() as u64),
            Self::Mask(mask) => {
                let (positive, negative) = mask.counts();
                TupleCount::Pairs { positive, negative }
            }
            Self::Ranges(ranges) => TupleCount::Triplets(ranges.count()),
            Self::Gaps(gaps) => TupleCount::Triplets(gaps.count()),
            Self::Lazy(set) => TupleCount::Triplets(set.count()),
        })
    }

    /// The same set as a list of triplets, cubic in the batch where it was lazy.
    ///
    /// Pairs become every positive pair with every negative pair of the same anchor, positive pairs outermost.
    ///
    /// # Errors
    /// [`Error::Missing`] for [`Tuples::All`] of a batch without a relation,
    /// [`Error::Index`] for a row outside of the batch, [`Error::Length`] for lists of unequal length,
    /// [`Error::Size`] if the list does not fit into memory.
    pub fn triplets(&self, batch: &Batch) -> Result<Arc<Triplets>> {
        self.check(batch)?;
        let count = usize::try_from(self.written_out(batch)?).unwrap_or(usize::MAX);
        crate::check::elements("triplets", &[count], TRIPLET)?;
        Ok(match self {
            Self::All => Arc::new(Triplets::all(batch.require_relation("triplets")?)),
            Self::Pairs(pairs) => Arc::new(pairs.to_triplets()),
            Self::Triplets(triplets) => triplets.clone(),
            Self::Mask(mask) => Arc::new(Pairs::from(&**mask).to_triplets()),
            Self::Ranges(ranges) => Arc::new(Triplets::from(&**ranges)),
            Self::Gaps(gaps) => Arc::new(Triplets::from(&*gaps.ranges()?)),
            Self::Lazy(set) => Arc::new(Triplets::from(&**set)),
        })
    }

    /// How many triplets the list of all of them has.
    fn written_out(&self, batch: &Batch) -> Result<u64> {
        let products = |counts: &mut dyn Iterator<Item = (usize, usize)>| -> u64 {
            let products = counts.map(|(p, n)| (p as u64).saturating_mul(n as u64));
            products.fold(0, u64::saturating_add)
        };
        Ok(match self {
            Self::All => {
                let relation = batch.require_relation("triplets")?;
                let (mut positives, mut negatives) = (Vec::new(), Vec::new());
                products(&mut (0..relation.queries()).map(|q| {
                    positives.clear();
                    negatives.clear();
                    relation.split(q, &mut positives, &mut negatives);
                    (positives.len(), negatives.len())
                }))
            }
            Self::Pairs(pairs) => {
                let mut counts = vec![(0, 0); batch.queries()];
                pairs
                    .positive_anchors
                    .iter()
                    .for_each(|&a| counts[a as usize].0 += 1);
                pairs
                    .negative_anchors
                    .iter()
                    .for_each(|&a| counts[a as usize].1 += 1);
                products(&mut counts.into_iter())
            }
            Self::Mask(mask) => products(
                &mut (0..mask.queries())
                    .map(|q| (mask.positives(q).count(), mask.negatives(q).count())),
            ),
            Self::Triplets(_) | Self::Ranges(_) | Self::Gaps(_) | Self::Lazy(_) => {
                self.count(batch)?.total()
            }
        })
    }

    /// The same set as a list of pairs: a triplet becomes its positive and its negative pair, repeats are kept.
    ///
    /// # Errors
    /// As [`Tuples::triplets`].
    pub fn pairs(&self, batch: &Batch) -> Result<Arc<Pairs>> {
        self.check(batch)?;
        let count = usize::try_from(self.count(batch)?.total()).unwrap_or(usize::MAX);
        crate::check::elements("pairs", &[count], TRIPLET)?;
        Ok(match self {
            Self::All => Arc::new(Pairs::all(batch.require_relation("pairs")?)),
            Self::Pairs(pairs) => pairs.clone(),
            Self::Triplets(triplets) => Arc::new(triplets.to_pairs()),
            Self::Mask(mask) => Arc::new(Pairs::from(&**mask)),
            Self::Ranges(ranges) => Arc::new(Triplets::from(&**ranges).to_pairs()),
            Self::Gaps(gaps) => Arc::new(Triplets::from(&*gaps.ranges()?).to_pairs()),
            Self::Lazy(set) => Arc::new(Triplets::from(&**set).to_pairs()),
        })
    }

    /// The same set as ranges over `matrix` `[Q, R]`; `None` for a list of triplets, whose repeats ranges can't hold,
    /// and for triplets by a rule, which may choose any negatives and not an interval of them.
    ///
    /// # Errors
    /// As [`Tuples::triplets`].
    pub fn ranges(
        &self,
        batch: &Batch,
        matrix: &Tensor,
        order: Order,
    ) -> Result<Option<Arc<TripletRanges>>> {
        self.check(batch)?;
        let all = GapInterval::default();
        Ok(match self {
            Self::All => {
                let relation = batch.require_relation("triplets")?;
                let ranges = triplet_ranges(matrix, order, all, |q, p, n| relation.split(q, p, n))?;
                Some(Arc::new(ranges))
            }
            Self::Pairs(pairs) => {
                let (positives, negatives) = pairs.by_anchor(batch.queries());
                let ranges = triplet_ranges(matrix, order, all, |q, p, n| {
                    p.extend_from_slice(&positives[q]);
                    n.extend_from_slice(&negatives[q]);
                })?;
                Some(Arc::new(ranges))
            }
            Self::Mask(mask) => {
                let ranges = triplet_ranges(matrix, order, all, |q, p, n| {
                    p.extend(mask.positives(q));
                    n.extend(mask.negatives(q));
                })?;
                Some(Arc::new(ranges))
            }
            Self::Triplets(_) | Self::Lazy(_) => None,
            Self::Ranges(ranges) => Some(ranges.clone()),
            Self::Gaps(gaps) => Some(gaps.ranges()?),
        })
    }
}

/// Bytes of a triplet in a list.
const TRIPLET: usize = 12;

fn check_rows(arg: &'static str, got: usize, limit: usize) -> Result<()> {
    if got <= limit {
        Ok(())
    } else {
        Err(Error::Length {
            arg,
            expected: limit,
            got,
        })
    }
}

#[cfg(test)]
mod tests;
