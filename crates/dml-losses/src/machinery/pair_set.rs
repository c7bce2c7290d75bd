//! Values of pairs that are summed anchor by anchor and never written out.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::{DType, Tensor};
use dml_core::autograd::{Element, has_kernel};
use dml_core::{
    AnchorSums, ImplicitValues, Indices, Over, Pairs, PartialSum, Result, TensorExt, Term, Tuples,
};

use crate::machinery::anchor_formula::anchor_values;
use crate::machinery::anchor_pairs::AnchorPairs;
use crate::machinery::pair_formula::KeptValues;
use crate::machinery::side::Anchor;

/// The positive or the negative pairs of a batch, with its matrix.
#[derive(Clone, Debug)]
pub(crate) struct PairSet {
    /// The name of the term that their values make.
    pub(crate) name: &'static str,
    /// Which pairs: positive or negative ones.
    pub(crate) over: Over,
    /// Distances `[Q, R]`.
    pub(crate) matrix: Tensor,
    /// The pairs of both kinds.
    pub(crate) pairs: AnchorPairs,
    /// Where the pairs came from.
    pub(crate) tuples: Tuples,
}

/// The values of the pairs of a set. What a pair weighs is multiplied to its value by the set, except in
/// [`sums`](PairSums::sums), which do it on their own.
pub(crate) trait PairSums: Debug + Send + Sync + 'static {
    /// The values of the pairs of a list, by Candle's operations.
    fn values(&self, set: &PairSet, list: &Pairs) -> Result<Tensor>;

    /// The values of entries of the matrix by Candle's operations, where a pair's value depends on its own entry alone:
    /// then no list of pairs is needed on any device.
    fn of_entries(&self) -> Option<impl Fn(&Tensor) -> Result<Tensor>> {
        None::<fn(&Tensor) -> Result<Tensor>>
    }

    /// The sum of the values of each anchor that are strictly between the bounds, and how many they are, by a kernel.
    fn sums(&self, set: &PairSet, low: Option<f64>, high: Option<f64>) -> Result<AnchorSums>;
}

impl PairSet {
    /// The values of a formula as a term: not written out where a kernel can sum them.
    pub(crate) fn term<F: PairSums>(self, formula: F) -> Result<Term> {
        let (name, over) = (self.name, self.over);
        let is_summed = has_kernel(&self.matrix) || formula.of_entries().is_some();
        let values = PairValues { set: self, formula };
        if is_summed {
            return Ok(Term::implicit(name, over, Arc::new(values)));
        }
        if values.count() == 0 {
            return Ok(Term::empty(name));
        }
        let (values, indices) = values.expand()?;
        Term::explicit(name, over, values, indices)
    }

    /// How many pairs there are, repeats included.
    pub(crate) fn count(&self) -> u64 {
        match self.over {
            Over::NegativePairs => self.pairs.counts().1,
            _ => self.pairs.counts().0,
        }
    }

    /// Anchors and others of the pairs of a list.
    pub(crate) fn rows<'a>(&self, list: &'a Pairs) -> (&'a [u32], &'a [u32]) {
        match self.over {
            Over::NegativePairs => (&list.negative_anchors, &list.negatives),
            _ => (&list.positive_anchors, &list.positives),
        }
    }

    /// What `f(row, anchor)` keeps of each anchor; it leaves the gradient in the sides. It is marked `#[inline(always)]`, as for
    /// [`anchor_values`].
    pub(crate) fn sums_of_rows<T: Element>(
        &self,
        f: impl Fn(&[T], &mut Anchor<T>) -> KeptValues + Sync,
    ) -> Result<AnchorSums> {
        let counts: Vec<AtomicU64> = (0..self.pairs.batch().queries())
            .map(|_| AtomicU64::new(0))
            .collect();
        let sums = anchor_values::<T>(
            self.name,
            &self.matrix,
            &self.pairs,
            #[inline(always)]
            |q, row, anchor| {
                let kept = f(row, anchor);
                counts[q].store(kept.count, Ordering::Relaxed);
                kept.sum
            },
        )?;
        let counts = counts.into_iter().map(AtomicU64::into_inner).collect();
        Ok(AnchorSums { sums, counts })
    }

    /// The sums of those values `[Q, R]` that are pairs of the set and within the bounds.
    fn sums_of_entries(
        &self,
        values: &Tensor,
        low: Option<f64>,
        high: Option<f64>,
    ) -> Result<AnchorSums> {
        let (positive, negative) = self.pairs.tensors()?;
        let mut times = self.own([positive, negative]);
        let values = &match self.pairs.weight_tensors()? {
            None => values.clone(),
            Some(weights) => {
                let weights = self.own(weights);
                // What is no pair may be infinite: it is dropped, not multiplied by 0.
                let is_pair = weights.ne(0f64)?;
                (is_pair.where_cond(values, &values.zeros_like()?)? * weights)?
            }
        };
        // What lies outside is named, not what lies inside: NaN is neither below nor above a bound, and is kept.
        let zeros = times.zeros_like()?;
        if let Some(low) = low {
            times = values.le(low)?.where_cond(&zeros, &times)?;
        }
        if let Some(high) = high {
            times = values.ge(high)?.where_cond(&zeros, &times)?;
        }
        // What does not count may be infinite: it is dropped, not multiplied by 0.
        let counts = times.ne(0f64)?;
        let kept = counts.where_cond(values, &values.zeros_like()?)?;
        let sums = (kept * &times)?.sum(1)?; // [Q]
        let counts = times.sum(1)?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        Ok(AnchorSums {
            sums,
            counts: counts.into_iter().map(|count| count as u64).collect(),
        })
    }

    /// The values of the pairs of a list, each times its weight.
    fn weighed(&self, values: Tensor, list: &Pairs) -> Result<Tensor> {
        let Some(weights) = self.pairs.weight_tensors()? else {
            return Ok(values);
        };
        let (anchors, others) = self.rows(list);
        Ok((values * self.own(weights).pick_entries(anchors, others)?)?)
    }

    /// What belongs to the kind of pairs of this set.
    fn own(&self, [positive, negative]: [Tensor; 2]) -> Tensor {
        match self.over {
            Over::NegativePairs => negative,
            _ => positive,
        }
    }
}

/// The values of a formula over a set of pairs.
#[derive(Clone, Debug)]
struct PairValues<F> {
    set: PairSet,
    formula: F,
}

impl<F: PairSums> PairValues<F> {
    /// By a kernel of the CPU, or by Candle's operations.
    fn sums(&self, low: Option<f64>, high: Option<f64>) -> Result<AnchorSums> {
        if !has_kernel(&self.set.matrix)
            && let Some(of_entries) = self.formula.of_entries()
        {
            let values = of_entries(&self.set.matrix)?;
            return self.set.sums_of_entries(&values, low, high);
        }
        self.formula.sums(&self.set, low, high)
    }
}

impl<F: PairSums> ImplicitValues for PairValues<F> {
    fn count(&self) -> u64 {
        self.set.count()
    }

    fn sum_within(&self, low: Option<f64>, high: Option<f64>) -> Result<PartialSum> {
        let by_anchor = self.sums(low, high)?;
        Ok(PartialSum {
            sum: by_anchor.sums.sum_all()?,
            count: by_anchor.counts.iter().sum(),
        })
    }

    fn expand(&self) -> Result<(Tensor, Indices)> {
        let list = self.set.tuples.pairs(self.set.pairs.batch())?;
        let values = self.formula.values(&self.set, &list)?;
        let values = self.set.weighed(values, &list)?;
        let (anchors, others) = self.set.rows(&list);
        let indices = Indices::Pairs {
            anchors: anchors.to_vec(),
            others: others.to_vec(),
        };
        Ok((values, indices))
    }

    fn sums_by_anchor(&self, anchors: usize) -> Result<AnchorSums> {
        if anchors == self.set.pairs.batch().queries() {
            return self.sums(None, None);
        }
        let (values, indices) = self.expand()?;
        AnchorSums::new(&values, indices.anchors(), anchors)
    }
}
