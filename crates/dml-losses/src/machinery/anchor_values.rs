//! One number for each anchor out of its positives and negatives, in one visit of its row of the matrix.

use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::Tensor;
use dml_core::autograd::{self, Element, has_kernel};
use dml_core::kernels::Real;
use dml_core::kernels::softmax::softmax_in_place;
use dml_core::{Indices, Over, Result, Term, for_element};

use crate::machinery::anchor_pairs::{Anchor, AnchorPairs, Counted, Side};

/// `f(q, positives, negatives)` for every anchor q of `matrix` `[Q, R]`: `[Q]`. `f` leaves the slopes of the value in the
/// sides, one for each `x`.
pub(crate) fn anchor_values<T: Element>(
    name: &'static str,
    matrix: &Tensor,
    pairs: &AnchorPairs,
    f: impl Fn(usize, &mut Side<T>, &mut Side<T>) -> f64 + Sync,
) -> Result<Tensor> {
    autograd::row_values_with::<T, Anchor<T>>(name, matrix, |q, row, slopes, anchor| {
        let Anchor {
            positives,
            negatives,
        } = anchor;
        pairs.of(q, positives, negatives);
        positives.read(row);
        negatives.read(row);
        let value = f(q, positives, negatives);
        positives.write(slopes);
        negatives.write(slopes);
        <T as Real>::from_f64(value)
    })
}

/// As [`anchor_values`], of the pairs of one kind alone.
pub(crate) fn side_values<T: Element>(
    name: &'static str,
    matrix: &Tensor,
    pairs: &AnchorPairs,
    over: Over,
    f: impl Fn(usize, &mut Side<T>) -> f64 + Sync,
) -> Result<Tensor> {
    autograd::row_values_with::<T, Anchor<T>>(name, matrix, |q, row, slopes, anchor| {
        pairs.of(q, &mut anchor.positives, &mut anchor.negatives);
        let side = match over {
            Over::NegativePairs => &mut anchor.negatives,
            _ => &mut anchor.positives,
        };
        side.read(row);
        let value = f(q, side);
        side.write(slopes);
        <T as Real>::from_f64(value)
    })
}

impl<T: Real> Side<T> {
    fn read(&mut self, row: &[T]) {
        self.x.clear();
        self.x.extend(self.rows.iter().map(|&r| row[r as usize]));
        self.slopes.clear();
        self.slopes.resize(self.x.len(), T::ZERO);
    }

    fn write(&self, slopes: &mut [T]) {
        for (&r, slope) in self.rows.iter().zip(&self.slopes) {
            slopes[r as usize] += *slope;
        }
    }

    /// `ln Σ w e^{exponent(x)}`, with `add_one` `ln(1 + Σ w e^{exponent(x)})`, w how often a pair counts times its weight;
    /// −∞ for no summand at all. The slopes become those in the exponents.
    pub(crate) fn log_sum_exp(&mut self, add_one: bool, exponent: impl Fn(T) -> T) -> f64 {
        for (slope, x) in self.slopes.iter_mut().zip(&self.x) {
            *slope = exponent(*x);
        }
        for (slope, weight) in self.slopes.iter_mut().zip(&self.weights) {
            *slope += T::from_f64(weight.to_f64().ln());
        }
        softmax_in_place(&mut self.slopes, &self.times, add_one)
    }

    /// Multiplies every slope by the factor that belongs to its `x`.
    pub(crate) fn scale(&mut self, factor: impl Fn(T) -> T) {
        for (slope, x) in self.slopes.iter_mut().zip(&self.x) {
            *slope = *slope * factor(*x);
        }
    }

    /// Whether there is no pair on this side.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// A loss with one value for each anchor, known from its row of the matrix alone.
pub(crate) trait AnchorFormula: Sync {
    /// The values `[Q]` by Candle's operations.
    fn values(&self, matrix: &Tensor, positive: &Counted, negative: &Counted) -> Result<Tensor>;

    /// The value of one anchor; its slopes are left in the sides.
    fn value<T: Real>(&self, positives: &mut Side<T>, negatives: &mut Side<T>) -> f64;

    /// Whether an anchor has a value, given whether it has positives and whether it has negatives. Without one its value
    /// is 0.
    fn has_value(&self, positives: bool, negatives: bool) -> bool {
        positives || negatives
    }
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
    let (values, with_value) = if has_kernel(matrix) {
        let with_value = AtomicU64::new(0);
        let values = for_element!(matrix, "matrix", |T| {
            anchor_values::<T>(name, matrix, pairs, |_, positives, negatives| {
                if formula.has_value(!positives.is_empty(), !negatives.is_empty()) {
                    with_value.fetch_add(1, Ordering::Relaxed);
                }
                formula.value(positives, negatives)
            })
        })?;
        (values, with_value.into_inner())
    } else {
        let [positive, negative] = pairs.counted()?;
        let values = formula.values(matrix, &positive, &negative)?;
        (
            values,
            pairs.count_anchors(|near, far| formula.has_value(near, far)),
        )
    };
    let rows = (0..values.elem_count() as u32).collect();
    let term = Term::explicit(name, Over::Elements, values, Indices::Elements(rows))?;
    Ok(term.with_divisor(with_value as f64))
}
