//! The pairs of all anchors at once, for Candle's operations.

use dml_core::TensorExt;

use super::PairsOfKind;
use crate::machinery::anchor_pairs::PairWeights;
use crate::machinery::expression::{Composite, Expression};

/// The matrix `[Q, R]` and how much each of its entries counts.
pub(super) struct CompositeSide<'a, 'e> {
    x: Composite<'e>,
    pairs: &'a PairWeights,
}

impl<'a, 'e> CompositeSide<'a, 'e> {
    pub(super) fn new(x: Composite<'e>, pairs: &'a PairWeights) -> Self {
        Self { x, pairs }
    }
}

impl<'e> PairsOfKind for CompositeSide<'_, 'e> {
    type Entry = Composite<'e>;
    type Value = Composite<'e>;

    #[inline(always)]
    fn log_sum_exp(
        &mut self,
        add_one: bool,
        exponent: impl Fn(Composite<'e>) -> Composite<'e>,
    ) -> Composite<'e> {
        exponent(self.x.clone()).with(|exponents| self.pairs.log_sum_exp(exponents, add_one))
    }

    #[inline(always)]
    fn log_sum_exp_of_both(
        positives: &mut Self,
        negatives: &mut Self,
        exponent: impl Fn(Composite<'e>) -> Composite<'e>,
    ) -> Composite<'e> {
        let exponents = exponent(positives.x.clone());
        exponents.with(|exponents| negatives.pairs.log_sum_exp_with(positives.pairs, exponents))
    }

    #[inline(always)]
    fn mean(&mut self, f: impl Fn(Composite<'e>) -> Composite<'e>) -> Composite<'e> {
        f(self.x.clone()).with(|values| self.pairs.mean(values))
    }

    fn weighted_violations(
        &mut self,
        temperature: f64,
        f: impl Fn(Composite<'e>) -> Composite<'e>,
    ) -> [Composite<'e>; 2] {
        let violations = f(self.x.clone());
        let counted = violations.with(|violations| self.pairs.above_zero(violations));
        let exponents = violations.clone() * temperature;
        let sum = exponents.with_two(&counted, |x, counted| {
            x.masked_logsumexp(Some(counted), false)
        });
        let shares = exponents.with_two(&sum, |x, sum| Ok(x.broadcast_sub(&sum.unsqueeze(1)?)?));
        // What does not count is 0 before it is an exponent, so that none of them is infinite.
        let chosen = |x: &Composite<'e>| {
            x.with_two(&counted, |x, counted| {
                Ok(counted.where_cond(x, &x.zeros_like()?)?)
            })
        };
        let shares = chosen(&chosen(&shares).exp());
        let mean = (shares * chosen(&violations)).with(|values| Ok(values.sum(1)?));
        [sum, mean]
    }
}
