//! How much all negatives of an anchor outweigh one positive, for each positive pair.
//!
//! ```text
//! ℓ(a,p) = ln(1 + Σₙ e^{k x(a,n) − g(x(a,p))}) = softplus(ln Σₙ e^{k x(a,n)} − g(x(a,p)))
//! ```
//!
//! The sum over the negatives is taken once for each anchor, not once for each pair.

use std::fmt::Debug;

use candle_core::Tensor;
use dml_core::kernels::Real;
use dml_core::{AnchorSums, Pairs, Result, TensorExt, for_element};

use crate::machinery::anchor_pairs::Side;
use crate::machinery::pair_values::{Kept, PairFormula, PairSet, PairValue, Within};
use crate::machinery::softplus::softplus;

/// What a positive counts against the negatives, as a function of its entry of the matrix.
pub(crate) trait PositiveCurve: Clone + Debug + Send + Sync + 'static {
    /// `g` by Candle's operations.
    fn values(&self, x: &Tensor) -> Result<Tensor>;

    /// `g` and its slope.
    fn value<T: Real>(&self, x: T) -> (T, T);
}

/// The formula with its factor and curve; see the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct NegativesOverPositive<C> {
    /// `k`, what entries of negatives are multiplied by.
    pub(crate) factor: f64,
    pub(crate) curve: C,
}

impl<C: PositiveCurve> PairFormula for NegativesOverPositive<C> {
    fn values(&self, set: &PairSet, list: &Pairs) -> Result<Tensor> {
        let matrix = &set.matrix;
        let (sums, any) = set.pairs.negative_log_sum_exp(&(matrix * self.factor)?)?; // [Q]
        let anchors = Tensor::new(list.positive_anchors.as_slice(), matrix.device())?;
        let positives = matrix.pick_entries(&list.positive_anchors, &list.positives)?; // [P]
        let over = (sums.index_select(&anchors, 0)? - self.curve.values(&positives)?)?; // [P]
        let values = over.safe_softplus()?;
        let any = any.index_select(&anchors, 0)?;
        Ok(any.where_cond(&values, &values.zeros_like()?)?)
    }

    fn sums(&self, set: &PairSet, low: Option<f64>, high: Option<f64>) -> Result<AnchorSums> {
        for_element!(set.matrix, "matrix", |T| {
            let within = Within::<T>::new(low, high);
            set.sums_of_rows::<T>(|positives, negatives| self.sum(positives, negatives, within))
        })
    }
}

impl<C: PositiveCurve> NegativesOverPositive<C> {
    fn sum<T: Real>(
        &self,
        positives: &mut Side<T>,
        negatives: &mut Side<T>,
        within: Within<T>,
    ) -> Kept {
        if positives.is_empty() {
            return Kept::default();
        }
        if negatives.is_empty() {
            return positives.sum_within(within, |_| PairValue::ZERO);
        }
        let factor = T::from_f64(self.factor);
        let sum = negatives.log_sum_exp(false, |x| factor * x);
        let kept = positives.sum_within(within, |x| {
            let (counter, slope) = self.curve.value(x);
            // The difference in double precision: both may be large.
            let (value, share) = softplus(T::from_f64(sum - counter.to_f64()));
            PairValue {
                value,
                slope: -share * slope,
                shared: share,
            }
        });
        let factor = T::from_f64(kept.shared * self.factor);
        negatives.scale(|_| factor);
        kept
    }
}
