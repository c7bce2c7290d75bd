//! Which pairs or triplets count: one set, in the form that costs least.
//!
//! - [`Tuples::all`]: everything the batch's relation allows; nothing is stored.
//! - [`Pairs`], [`Triplets`]: lists of rows, as a user hands them in; order and duplicates are kept.
//! - [`TupleSet`]: pairs or triplets that are known by a rule. Miners choose pairs as bits of a mask, two for each pair of
//!   the batch, and triplets as intervals of each anchor's sorted negatives.
//!
//! A triplet miner on a device that has kernels for it leaves the distances there and selects the triplets anew where
//! they are summed.
//!
//! Anchors are query rows; positives and negatives are reference rows.

mod by_anchor;
mod device_triplets;
mod mask;
mod occurrences;
mod pairs;
mod random;
mod ranges;
mod rule;
mod set;
mod triplets;

use std::sync::Arc;

use candle_core::Tensor;
use dml_kernels::TripletSet;
use dml_kernels::triplet_ranges::{GapInterval, TripletRanges};

use crate::{Batch, Order, Result, check};

use by_anchor::ListByAnchor;

pub use device_triplets::DeviceTriplets;
pub use mask::mask_tensors;
pub use pairs::Pairs;
pub use random::PerAnchor;
pub use ranges::triplet_ranges;
pub use set::{RowCounts, TupleCount, TupleSet};
pub use triplets::Triplets;

/// Pairs or triplets of a batch; see the [module](self). Cloning is cheap.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Triplets, TupleCount, Tuples};
///
/// let embeddings = Tensor::new(&[[1f32, 0.], [0.9, 0.1], [0., 1.]], &Device::Cpu)?;
/// let batch = Batch::new(&embeddings, &[0i64, 0, 1])?;
/// let all = Tuples::all();
/// assert_eq!(all.count(&batch)?, TupleCount::Pairs { positive: 2, negative: 4 });
/// let one = Tuples::from(Triplets::new(vec![0], vec![1], vec![2])?);
/// assert_eq!(one.count(&batch)?, TupleCount::Triplets(1));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tuples(Form);

#[derive(Clone, Debug, Default)]
enum Form {
    /// Everything the relation of the batch allows.
    #[default]
    All,
    Pairs(Arc<Pairs>),
    Triplets(Arc<Triplets>),
    Set(Arc<dyn TupleSet>),
    /// Triplets that a device selects; to visit them on the host can fail.
    Device(Arc<DeviceTriplets>),
}

impl From<Pairs> for Tuples {
    fn from(pairs: Pairs) -> Self {
        Arc::new(pairs).into()
    }
}

impl From<Arc<Pairs>> for Tuples {
    fn from(pairs: Arc<Pairs>) -> Self {
        Self(Form::Pairs(pairs))
    }
}

impl From<Triplets> for Tuples {
    fn from(triplets: Triplets) -> Self {
        Arc::new(triplets).into()
    }
}

impl From<Arc<Triplets>> for Tuples {
    fn from(triplets: Arc<Triplets>) -> Self {
        Self(Form::Triplets(triplets))
    }
}

impl<S: TupleSet + 'static> From<Arc<S>> for Tuples {
    fn from(set: Arc<S>) -> Self {
        Self(Form::Set(set))
    }
}

#[doc(hidden)]
impl From<DeviceTriplets> for Tuples {
    fn from(triplets: DeviceTriplets) -> Self {
        Self(Form::Device(Arc::new(triplets)))
    }
}

impl Tuples {
    /// Everything that the relation of the batch allows.
    #[must_use]
    pub const fn all() -> Self {
        Self(Form::All)
    }

    /// The pairs or triplets of a set: a user's own, or a relation that says which pairs count.
    pub fn from_set(set: impl TupleSet + 'static) -> Self {
        Self(Form::Set(Arc::new(set)))
    }

    /// Whether these are all tuples of the batch ([`Tuples::all`]).
    #[must_use]
    pub fn is_all(&self) -> bool {
        matches!(self.0, Form::All)
    }

    /// Whether these are triplets; everything that a relation allows counts as pairs.
    #[must_use]
    pub fn is_triplets(&self) -> bool {
        match &self.0 {
            Form::All | Form::Pairs(_) => false,
            Form::Triplets(_) | Form::Device(_) => true,
            Form::Set(set) => matches!(set.count(), TupleCount::Triplets(_)),
        }
    }

    /// The list of pairs, if the tuples are one.
    #[must_use]
    pub fn as_pairs(&self) -> Option<&Pairs> {
        match &self.0 {
            Form::Pairs(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The list of triplets, if the tuples are one.
    #[must_use]
    pub fn as_triplets(&self) -> Option<&Triplets> {
        match &self.0 {
            Form::Triplets(triplets) => Some(triplets),
            _ => None,
        }
    }

    /// The triplets that a device selects, if the tuples are such.
    #[doc(hidden)]
    #[must_use]
    pub fn on_device(&self) -> Option<&Arc<DeviceTriplets>> {
        match &self.0 {
            Form::Device(triplets) => Some(triplets),
            _ => None,
        }
    }

    /// Checks that every row exists in `batch`.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) for a row outside of the batch, [`Error::Length`](crate::Error::Length)
    /// for a set over more rows than there are.
    pub fn check(&self, batch: &Batch) -> Result<()> {
        let (anchors, references) = match &self.0 {
            Form::All => return Ok(()),
            Form::Pairs(pairs) => return pairs.check(batch),
            Form::Triplets(triplets) => return triplets.check(batch),
            Form::Set(set) => (set.anchors(), set.references()),
            Form::Device(triplets) => (triplets.anchors(), triplets.references()),
        };
        check_rows("anchors", anchors, batch.queries())?;
        check_rows("references", references, batch.references())
    }

    /// How many tuples there are. Nothing is expanded.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) for [`Tuples::all`] of a batch without a relation.
    pub fn count(&self, batch: &Batch) -> Result<TupleCount> {
        Ok(match &self.0 {
            Form::All => TupleSet::count(batch.require_relation("Tuples::count")?),
            Form::Pairs(pairs) => pairs.count(),
            Form::Triplets(triplets) => TupleCount::Triplets(triplets.len() as u64),
            Form::Set(set) => set.count(),
            Form::Device(triplets) => TupleCount::Triplets(triplets.count()),
        })
    }

    /// The same tuples as a set that is visited anchor by anchor, whatever form they have.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) in the name of the component for [`Tuples::all`] of a batch without a
    /// relation, as [`Tuples::check`], and [`Error::Tensor`](crate::Error::Tensor) if triplets can't be brought from
    /// their device.
    pub fn by_anchor(&self, component: &'static str, batch: &Batch) -> Result<Arc<dyn TupleSet>> {
        self.check(batch)?;
        let (anchors, references) = (batch.queries(), batch.references());
        Ok(match &self.0 {
            Form::All => Arc::new(batch.require_relation(component)?.clone()),
            Form::Pairs(pairs) => Arc::new(ListByAnchor::of_pairs(pairs, anchors, references)),
            Form::Triplets(list) => Arc::new(ListByAnchor::of_triplets(list, anchors, references)),
            Form::Set(set) => set.clone(),
            Form::Device(triplets) => triplets.ranges()?,
        })
    }

    /// The same set as a list of triplets, cubic in the batch where it was none.
    ///
    /// Pairs become every positive pair with every negative pair of the same anchor, positive pairs outermost.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) for [`Tuples::all`] of a batch without a relation,
    /// [`Error::Index`](crate::Error::Index) for a row outside of the batch, [`Error::Length`](crate::Error::Length)
    /// for lists of unequal length, [`Error::Size`](crate::Error::Size) if the list does not fit into memory.
    pub fn triplets(&self, batch: &Batch) -> Result<Arc<Triplets>> {
        if let Form::Triplets(triplets) = &self.0 {
            triplets.check(batch)?;
            return Ok(triplets.clone());
        }
        let set = self.by_anchor("triplets", batch)?;
        let count = if self.is_triplets() {
            set.count().total()
        } else {
            products(&*set)
        };
        fits("triplets", count)?;
        Ok(Arc::new(match self.as_pairs() {
            Some(pairs) => pairs.to_triplets(&*set),
            None => Triplets::of_set(&*set),
        }))
    }

    /// The same set as a list of pairs: a triplet becomes its positive and its negative pair, repeats are kept.
    ///
    /// # Errors
    /// As [`Tuples::triplets`].
    pub fn pairs(&self, batch: &Batch) -> Result<Arc<Pairs>> {
        if let Form::Pairs(pairs) = &self.0 {
            pairs.check(batch)?;
            return Ok(pairs.clone());
        }
        fits("pairs", self.count(batch)?.total())?;
        Ok(Arc::new(if self.is_triplets() {
            self.triplets(batch)?.to_pairs()
        } else {
            Pairs::of_set(&*self.by_anchor("pairs", batch)?)
        }))
    }

    /// The same set as intervals of the negatives in the order of `matrix` `[Q, R]`; `None` for triplets in a list, whose
    /// repeats intervals can't hold, and by a rule, which may choose any negatives.
    ///
    /// # Errors
    /// As [`Tuples::triplets`].
    #[doc(hidden)]
    pub fn ranges(
        &self,
        batch: &Batch,
        matrix: &Tensor,
        order: Order,
    ) -> Result<Option<Arc<TripletRanges>>> {
        if let Form::Triplets(triplets) = &self.0 {
            triplets.check(batch)?;
            return Ok(None);
        }
        let set = self.by_anchor("triplets", batch)?;
        if self.is_triplets() {
            return Ok(set.as_ranges());
        }
        let all = GapInterval::default();
        let ranges = triplet_ranges(matrix, order, all, |q, p, n| set.split(q, p, n))?;
        Ok(Some(Arc::new(ranges)))
    }

    /// The same triplets as kernels visit them; `None` for a list, and for pairs.
    ///
    /// # Errors
    /// As [`Tuples::check`].
    #[doc(hidden)]
    pub fn rule(&self, batch: &Batch) -> Result<Option<Arc<dyn TripletSet>>> {
        self.check(batch)?;
        Ok(match &self.0 {
            Form::Set(set) if self.is_triplets() => Some(Arc::new(rule::Rule(set.clone()))),
            _ => None,
        })
    }
}

/// How many triplets the pairs of a set make.
fn products(set: &dyn TupleSet) -> u64 {
    let (mut positives, mut negatives) = (Vec::new(), Vec::new());
    let of_anchor = |anchor| {
        positives.clear();
        negatives.clear();
        set.split(anchor, &mut positives, &mut negatives);
        (positives.len() as u64).saturating_mul(negatives.len() as u64)
    };
    (0..set.anchors())
        .map(of_anchor)
        .fold(0, u64::saturating_add)
}

/// Whether a list of that many tuples fits into memory.
fn fits(name: &'static str, count: u64) -> Result<()> {
    /// Bytes of a triplet in a list.
    const TRIPLET: usize = 12;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    check::elements(name, &[count], TRIPLET)?;
    Ok(())
}

fn check_rows(arg: &'static str, got: usize, limit: usize) -> Result<()> {
    // Fewer rows are fine.
    check::length(arg, limit, got.max(limit))
}

#[cfg(test)]
mod tests;
