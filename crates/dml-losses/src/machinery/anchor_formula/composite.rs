//! The pairs of all anchors at once, for Candle's operations.

use super::PairsOfKind;
use crate::machinery::anchor_pairs::PairWeights;
use crate::machinery::expression::Composite;

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

    fn log_sum_exp(
        &mut self,
        add_one: bool,
        exponent: impl Fn(Composite<'e>) -> Composite<'e>,
    ) -> Composite<'e> {
        exponent(self.x.clone()).with(|exponents| self.pairs.log_sum_exp(exponents, add_one))
    }

    fn log_sum_exp_of_both(
        positives: &mut Self,
        negatives: &mut Self,
        exponent: impl Fn(Composite<'e>) -> Composite<'e>,
    ) -> Composite<'e> {
        let exponents = exponent(positives.x.clone());
        exponents.with(|exponents| negatives.pairs.log_sum_exp_with(positives.pairs, exponents))
    }

    fn mean(&mut self, f: impl Fn(Composite<'e>) -> Composite<'e>) -> Composite<'e> {
        f(self.x.clone()).with(|values| self.pairs.mean(values))
    }
}
