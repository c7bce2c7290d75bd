//! Values of pairs that are summed anchor by anchor and never written out.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::Tensor;
use dml_core::fused::{Element, has_kernel};
use dml_core::kernels::Real;
use dml_core::{
    AnchorSums, ImplicitValues, Indices, Over, Pairs, PartialSum, Result, Term, Tuples, for_element,
};

use crate::anchor_pairs::{AnchorPairs, Side};
use crate::anchor_values::anchor_values;

/// A value for every positive or every negative pair, known from the anchor's row of the matrix alone.
pub(crate) trait PairFormula: Debug + Send + Sync {
    /// The values of the pairs of a list, by Candle's operations.
    fn values(&self, matrix: &Tensor, list: &Pairs, pairs: &AnchorPairs) -> Result<Tensor>;

    /// The sum of the values of one anchor that are within bounds; its slopes are left in the sides.
    fn sum<T: Real>(
        &self,
        positives: &mut Side<T>,
        negatives: &mut Side<T>,
        within: Within<T>,
    ) -> Kept;
}

/// Bounds that a value must be strictly between to be kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Within<T> {
    low: Option<T>,
    high: Option<T>,
}

/// What is kept of the values of an anchor.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) sum: f64,
    pub(crate) count: u64,
    /// The slope of the sum in what all values of the anchor share.
    pub(crate) shared: f64,
}

/// The value of one pair.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PairValue<T> {
    pub(crate) value: T,
    /// Its slope in the pair's own entry of the matrix.
    pub(crate) slope: T,
    /// Its slope in what all values of the anchor share, if anything.
    pub(crate) shared: T,
}

impl<T: Real> PairValue<T> {
    /// Nothing, whatever the matrix says.
    pub(crate) const ZERO: Self = Self {
        value: T::ZERO,
        slope: T::ZERO,
        shared: T::ZERO,
    };
}

impl<T: Real> Within<T> {
    pub(crate) fn new(low: Option<f64>, high: Option<f64>) -> Self {
        Self {
            low: low.map(T::from_f64),
            high: high.map(T::from_f64),
        }
    }

    #[inline(always)]
    pub(crate) fn keeps(&self, value: T) -> bool {
        self.low.is_none_or(|low| value > low) && self.high.is_none_or(|high| value < high)
    }
}

impl<T: Real> Side<T> {
    /// Sums the values that are within bounds, and leaves their slopes.
    pub(crate) fn sum_within(&mut self, within: Within<T>, f: impl Fn(T) -> PairValue<T>) -> Kept {
        let mut kept = Kept::default();
        for i in 0..self.x.len() {
            let pair = f(self.x[i]);
            if within.keeps(pair.value) {
                let times = self.times(i);
                kept.sum += (times * pair.value).to_f64();
                kept.shared += (times * pair.shared).to_f64();
                kept.count += times.to_f64() as u64;
                self.slopes[i] = times * pair.slope;
            }
        }
        kept
    }
}

/// The values of a formula over the pairs of a batch.
#[derive(Clone, Debug)]
pub(crate) struct PairValues<F> {
    pub(crate) name: &'static str,
    /// Whose pairs have the values: positive or negative ones.
    pub(crate) over: Over,
    pub(crate) formula: F,
    /// Distances `[Q, R]`.
    pub(crate) matrix: Tensor,
    pub(crate) pairs: AnchorPairs,
    pub(crate) tuples: Tuples,
}

impl<F: PairFormula + 'static> PairValues<F> {
    /// The values as a term: not written out where a kernel can sum them.
    pub(crate) fn term(self) -> Result<Term> {
        let (name, over) = (self.name, self.over);
        if has_kernel(&self.matrix) {
            return Ok(Term::implicit(name, over, Arc::new(self)));
        }
        if self.count() == 0 {
            return Ok(Term::empty(name));
        }
        let (values, indices) = self.expand()?;
        Term::explicit(name, over, values, indices)
    }

    /// The sum of each anchor `[Q]`, how many values it is of, and how many all anchors kept.
    fn sums(&self, low: Option<f64>, high: Option<f64>) -> Result<(Tensor, Vec<u64>)> {
        for_element!(self.matrix, "matrix", |T| self.sums_of::<T>(low, high))
    }

    fn sums_of<T: Element>(
        &self,
        low: Option<f64>,
        high: Option<f64>,
    ) -> Result<(Tensor, Vec<u64>)> {
        let within = Within::<T>::new(low, high);
        let counts: Vec<AtomicU64> = (0..self.pairs.batch().queries())
            .map(|_| AtomicU64::new(0))
            .collect();
        let sums = anchor_values::<T>(self.name, &self.matrix, &self.pairs, |q, near, far| {
            let kept = self.formula.sum(near, far, within);
            counts[q].store(kept.count, Ordering::Relaxed);
            kept.sum
        })?;
        let counts = counts.into_iter().map(AtomicU64::into_inner).collect();
        Ok((sums, counts))
    }
}

impl<F: PairFormula> ImplicitValues for PairValues<F>
where
    F: 'static,
{
    fn count(&self) -> u64 {
        match self.over {
            Over::NegativePairs => self.pairs.counts().1,
            _ => self.pairs.counts().0,
        }
    }

    fn sum_within(&self, low: Option<f64>, high: Option<f64>) -> Result<PartialSum> {
        let (sums, counts) = self.sums(low, high)?;
        Ok(PartialSum {
            sum: sums.sum_all()?,
            count: counts.iter().sum(),
        })
    }

    fn expand(&self) -> Result<(Tensor, Indices)> {
        let list = self.tuples.pairs(self.pairs.batch())?;
        let values = self.formula.values(&self.matrix, &list, &self.pairs)?;
        let (anchors, others) = match self.over {
            Over::NegativePairs => (&list.negative_anchors, &list.negatives),
            _ => (&list.positive_anchors, &list.positives),
        };
        let indices = Indices::Pairs {
            anchors: anchors.clone(),
            others: others.clone(),
        };
        Ok((values, indices))
    }

    fn sums_by_anchor(&self, anchors: usize) -> Result<AnchorSums> {
        let (sums, counts) = self.sums(None, None)?;
        if anchors != counts.len() {
            let (values, indices) = self.expand()?;
            return AnchorSums::new(&values, indices.anchors(), anchors);
        }
        Ok(AnchorSums { sums, counts })
    }
}
