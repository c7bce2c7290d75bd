//! One number for each anchor out of its positives and negatives, in one visit of its row of the matrix.

use candle_core::Tensor;
use dml_core::Result;
use dml_core::autograd::{self, Element};
use dml_core::kernels::exact::dot;
use dml_core::kernels::softmax::softmax_in_place;
use dml_core::kernels::{Real, vectorized};

use super::{AnchorFormula, PairsOfKind};
use crate::machinery::anchor_pairs::AnchorPairs;
use crate::machinery::expression::Dual;
use crate::machinery::side::{Anchor, GRADIENTS, Side};

/// A number of an anchor, with its derivative in each aggregate: first those of the positives, then of the negatives.
type AnchorValue = Dual<f64, { 2 * GRADIENTS }>;

/// `f(q, row, anchor)` for every anchor q of `matrix` `[Q, R]`: `[Q]`. `f` reads the entries of the pairs out of the row, and
/// leaves the gradient of the value in the sides.
///
/// `f` is marked `#[inline(always)]`, so that its loops are compiled for the widest vectors. It takes copies of the numbers
/// that it captures: those behind a reference would be read again for each entry, since a gradient could overlap them.
pub(crate) fn anchor_values<T: Element>(
    name: &'static str,
    matrix: &Tensor,
    pairs: &AnchorPairs,
    f: impl Fn(usize, &[T], &mut Anchor<T>) -> f64 + Sync,
) -> Result<Tensor> {
    autograd::row_values_with::<T, Anchor<T>>(name, matrix, |q, row, gradient, anchor| {
        pairs.find(q, anchor);
        vectorized!({
            let value = f(q, row, anchor);
            anchor.positives.add_gradients(gradient);
            anchor.negatives.add_gradients(gradient);
            <T as Real>::from_f64(value)
        })
    })
}

/// The value of each anchor by a formula; `counted` is called for each that has one.
pub(super) fn values_of_rows<T: Element, F: AnchorFormula>(
    name: &'static str,
    formula: &F,
    matrix: &Tensor,
    pairs: &AnchorPairs,
    counted: impl Fn() + Sync,
) -> Result<Tensor> {
    anchor_values::<T>(
        name,
        matrix,
        pairs,
        #[inline(always)]
        |_, row, anchor| {
            let formula = *formula;
            let Anchor {
                positives,
                negatives,
            } = anchor;
            if !F::NEEDS.are_met(!positives.is_empty(), !negatives.is_empty()) {
                return 0.0;
            }
            counted();
            positives.read(row);
            negatives.read(row);
            let side = |pairs, first| SideOfRow { pairs, first };
            let (mut near, mut far) = (side(positives, 0), side(negatives, GRADIENTS));
            let value = formula.value(&mut near, &mut far);
            for side in [near, far] {
                let factors = &value.gradient[side.first..][..GRADIENTS];
                side.pairs.factors.copy_from_slice(factors);
            }
            value.value
        },
    )
}

/// A side of an anchor that a formula takes aggregates of.
struct SideOfRow<'a, T> {
    pairs: &'a mut Side<T>,
    /// The number of its first aggregate among those of the anchor.
    first: usize,
}

impl<T: Real> SideOfRow<'_, T> {
    /// An aggregate whose gradient in the entries was left in the side under that index.
    fn aggregate(&self, index: usize, value: f64) -> AnchorValue {
        AnchorValue::variable(self.first + index, value)
    }
}

impl<T: Real> Side<T> {
    /// `ln Σ w e^{exponent(x)}`, or of one more than the sum; −∞ for no summand at all. Its gradient is left in the side.
    #[inline(always)]
    pub(crate) fn log_sum_exp(
        &mut self,
        add_one: bool,
        is_weighted: bool,
        exponent: impl Fn(Dual<T>) -> Dual<T>,
    ) -> (usize, f64) {
        let index = self.push_gradient(
            #[inline(always)]
            |x| exponent(Dual::variable(0, x)).value,
        );
        let shares = &mut self.gradients[index];
        if is_weighted {
            for (exponent, weight) in shares.iter_mut().zip(&self.weights) {
                *exponent += T::from_f64(weight.to_f64().ln());
            }
        }
        let value = softmax_in_place(shares, &self.times, add_one);
        for (share, x) in shares.iter_mut().zip(&self.x) {
            *share = *share * exponent(Dual::variable(0, *x)).gradient[0];
        }
        (index, value)
    }
}

impl<T: Real> PairsOfKind for SideOfRow<'_, T> {
    type Entry = Dual<T>;
    type Value = AnchorValue;

    #[inline(always)]
    fn log_sum_exp(&mut self, add_one: bool, exponent: impl Fn(Dual<T>) -> Dual<T>) -> AnchorValue {
        if self.pairs.is_empty() {
            return AnchorValue::number(0.0);
        }
        let (index, value) = self.pairs.log_sum_exp(add_one, true, exponent);
        self.aggregate(index, value)
    }

    #[inline(always)]
    fn log_sum_exp_of_both(
        positives: &mut Self,
        negatives: &mut Self,
        exponent: impl Fn(Dual<T>) -> Dual<T>,
    ) -> AnchorValue {
        let (near_index, near) = positives.pairs.log_sum_exp(false, false, &exponent);
        let (far_index, far) = negatives.pairs.log_sum_exp(false, true, &exponent);
        // The comparison is written so that NaN comes through.
        let (large, small) = if near > far { (near, far) } else { (far, near) };
        if positives.pairs.is_empty() && negatives.pairs.is_empty() {
            return AnchorValue::number(0.0);
        }
        // Where all similarities are −∞, small − large is NaN, and so is the value: the gap of two infinite distances.
        let value = large + (small - large).exp().ln_1p();
        let mut both = AnchorValue::number(value);
        both.gradient[positives.first + near_index] = (near - value).exp();
        both.gradient[negatives.first + far_index] = (far - value).exp();
        both
    }

    #[inline(always)]
    fn mean(&mut self, f: impl Fn(Dual<T>) -> Dual<T>) -> AnchorValue {
        let side = &mut *self.pairs;
        let count = |side: &Side<T>, i| (side.times(i) * side.weight(i)).to_f64();
        let total: f64 = (0..side.x.len()).map(|i| count(side, i)).sum();
        if side.is_empty() {
            return AnchorValue::number(0.0);
        }
        let index = side.push_gradient(
            #[inline(always)]
            |x| f(Dual::variable(0, x)).gradient[0],
        );
        let mut sum = 0.0;
        for i in 0..side.x.len() {
            let count = count(side, i);
            sum += count * f(Dual::variable(0, side.x[i])).value.to_f64();
            let gradient = &mut side.gradients[index][i];
            *gradient = *gradient * T::from_f64(count / total);
        }
        self.aggregate(index, sum / total)
    }

    #[inline(always)]
    fn weighted_violations(
        &mut self,
        temperature: f64,
        f: impl Fn(Dual<T>) -> Dual<T>,
    ) -> [AnchorValue; 2] {
        let side = &mut *self.pairs;
        let (t, nothing) = (T::from_f64(temperature), T::from_f64(f64::NEG_INFINITY));
        let in_sum = side.push_gradient(
            #[inline(always)]
            |x| {
                let value = f(Dual::variable(0, x)).value;
                if_violated(value, t * value, nothing)
            },
        );
        let sum = softmax_in_place(&mut side.gradients[in_sum], &side.times, false);
        if sum == f64::NEG_INFINITY {
            return [AnchorValue::number(0.0); 2];
        }
        let in_mean = side.push_gradient(
            #[inline(always)]
            |x| {
                let value = f(Dual::variable(0, x)).value;
                if_violated(value, value, T::ZERO)
            },
        );
        let [of_sum, of_mean] = &mut side.gradients;
        let mean = dot(of_sum, of_mean);
        for ((of_sum, of_mean), x) in of_sum.iter_mut().zip(of_mean).zip(&side.x) {
            let share = *of_sum * f(Dual::variable(0, *x)).gradient[0];
            *of_mean = share * (T::ONE + t * (*of_mean - T::from_f64(mean)));
            *of_sum = share * t;
        }
        [self.aggregate(in_sum, sum), self.aggregate(in_mean, mean)]
    }
}

/// `yes` for a violation above 0, and for NaN; `no` for one that is not.
#[inline(always)]
fn if_violated<T: Real>(violation: T, yes: T, no: T) -> T {
    // The comparison is written so that NaN counts.
    if violation <= T::ZERO { no } else { yes }
}
