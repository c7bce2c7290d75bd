//! Losses with one value for each anchor, as a formula of its positives and negatives.
//!
//! ```text
//! ℓ(a) = f(A₁, A₂, …)        Aₖ: ln Σ w e^{g(x)}, or a mean of g(x), over pairs of one kind
//! ```
//!
//! The formula is written once, over [`PairsOfKind`]. On the CPU each row of the matrix is visited once: every aggregate
//! leaves its gradient in the side that it is of, and the few partial derivatives of `f` in the aggregates scale them.
//! Elsewhere the same formula is a graph of Candle's operations over the whole matrix.

mod composite;
mod rows;

use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::Tensor;
use dml_core::autograd::has_kernel;
use dml_core::{Indices, Over, Result, Term, for_element};

use crate::machinery::anchor_pairs::AnchorPairs;
use crate::machinery::expression::{Composite, Expression};
use composite::CompositeSide;

pub(crate) use rows::anchor_values;

/// The pairs of one kind: of one anchor, or of all anchors at once.
pub(crate) trait PairsOfKind: Sized {
    /// An entry of the matrix.
    type Entry: Expression;
    /// A number for each anchor.
    type Value: Expression;

    /// `ln Σ w e^{exponent(x)}`, with `add_one` `ln(1 + Σ w e^{exponent(x)})`: w is how often a pair counts times its
    /// weight. Without pairs it is 0.
    fn log_sum_exp(
        &mut self,
        add_one: bool,
        exponent: impl Fn(Self::Entry) -> Self::Entry,
    ) -> Self::Value;

    /// `ln(Σₚ e^{exponent(x)} + Σₙ w e^{exponent(x)})`, in which a positive weighs 1. Without pairs it is 0.
    fn log_sum_exp_of_both(
        positives: &mut Self,
        negatives: &mut Self,
        exponent: impl Fn(Self::Entry) -> Self::Entry,
    ) -> Self::Value;

    /// `Σ w f(x) / Σ w`. Without pairs it is 0.
    fn mean(&mut self, f: impl Fn(Self::Entry) -> Self::Entry) -> Self::Value;

    /// `ln Σ e^{t f(x)}` and `Σ e^{t f(x)} f(x) / Σ e^{t f(x)}` over the pairs whose `f(x)` is not 0 or less, for a
    /// temperature `t`. Without such a pair both are 0.
    fn weighted_violations(
        &mut self,
        temperature: f64,
        f: impl Fn(Self::Entry) -> Self::Entry,
    ) -> [Self::Value; 2];
}

/// Which pairs an anchor must have for a value; without them its value is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// A pair of either kind.
    AnyPair,
    /// A positive.
    Positive,
    /// A positive and a negative.
    Both,
}

impl Needs {
    /// Whether an anchor has a value, given whether it has positives and whether it has negatives.
    pub(crate) fn are_met(self, positives: bool, negatives: bool) -> bool {
        match self {
            Self::AnyPair => positives || negatives,
            Self::Positive => positives,
            Self::Both => positives && negatives,
        }
    }
}

/// A loss with one value for each anchor, known from its row of the matrix alone.
pub(crate) trait AnchorFormula: Copy + Sync {
    /// What an anchor must have.
    const NEEDS: Needs;

    /// The value of an anchor that has what it needs.
    fn value<P: PairsOfKind>(&self, positives: &mut P, negatives: &mut P) -> P::Value;
}

/// The value of each anchor of `matrix` `[Q, R]`: `[Q]`; and how many anchors have one. The others have 0.
pub(crate) fn values_of_anchors<F: AnchorFormula>(
    name: &'static str,
    formula: &F,
    matrix: &Tensor,
    pairs: &AnchorPairs,
) -> Result<(Tensor, u64)> {
    if has_kernel(matrix) {
        let count = AtomicU64::new(0);
        let values = for_element!(matrix, "matrix", |T| {
            rows::values_of_rows::<T, F>(name, formula, matrix, pairs, || {
                count.fetch_add(1, Ordering::Relaxed);
            })
        })?;
        return Ok((values, count.into_inner()));
    }
    let [positive, negative] = pairs.pair_weights()?;
    let values = Composite::of(matrix, |x| {
        let side = |pairs| CompositeSide::new(x.clone(), pairs);
        formula.value(&mut side(&positive), &mut side(&negative))
    })?;
    let zeros = values.zeros_like()?;
    let values = match F::NEEDS {
        Needs::AnyPair => values,
        Needs::Positive => positive.has_pairs()?.where_cond(&values, &zeros)?,
        Needs::Both => {
            (positive.has_pairs()? * negative.has_pairs()?)?.where_cond(&values, &zeros)?
        }
    };
    Ok((values, pairs.count_anchors(F::NEEDS)))
}

/// The values of a formula as a term with one value for each row of the batch; empty if there is no pair at all. The
/// divisor is the number of rows that have a value.
pub(crate) fn term_of_anchors<F: AnchorFormula>(
    name: &'static str,
    formula: &F,
    matrix: &Tensor,
    pairs: &AnchorPairs,
) -> Result<Term> {
    if pairs.counts() == (0, 0) {
        return Ok(Term::empty(name));
    }
    let (values, with_value) = values_of_anchors(name, formula, matrix, pairs)?;
    let rows = (0..values.elem_count() as u32).collect();
    let term = Term::explicit(name, Over::Elements, values, Indices::Elements(rows))?;
    Ok(term.with_divisor(with_value as f64))
}
