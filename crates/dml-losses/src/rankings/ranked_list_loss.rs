//! Ranked list loss: positives within a sphere around each row, negatives outside of a larger one.
//!
//! ```text
//! v⁺ = d(i,j) − (α − margin)  for positives farther than α − margin,   weight e^{Tp v⁺}
//! v⁻ = α − d(i,j)             for negatives nearer than α,             weight e^{Tn v⁻}
//! ℓ_i = (1 − imbalance) · Σ w v⁺ / (Σ w + ε N) + imbalance · Σ w v⁻ / (Σ w + ε N),   ε = 1e-5
//! ```
//!
//! The gradient goes through the weights, too. Rows at distance 0 count on neither side. A row without any pair has the
//! value 0; the divisor of the term is the number of the others.
//!
//! Wang, Hua, Kodirov, Hu, Garnier and Robertson, "Ranked List Loss for Deep Metric Learning" (CVPR 2019,
//! arXiv:1903.03238).
//!
//! The largest exponent is taken out of both sums, so no temperature overflows.

use std::sync::Arc;

use candle_core::Tensor;
use dml_core::autograd::has_kernel;
use dml_core::kernels::Real;
use dml_core::kernels::exact::dot;
use dml_core::kernels::softmax::softmax_in_place;
use dml_core::{
    Batch, Distance, Error, Loss, Order, Result, Term, Terms, Tuples, check, for_element,
};

use crate::machinery::anchor_pairs::{AnchorPairs, Side};
use crate::machinery::anchor_values::anchor_values;
use crate::machinery::demands;
use crate::machinery::row_terms::term_over_rows;

/// ε: what each column adds to the sum of the weights.
const FLOOR: f64 = 1e-5;

/// Configuration of [`RankedListLoss`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
#[expect(non_snake_case, reason = "the temperatures are named as in the paper")]
pub struct RankedListLossConfig {
    /// From the positives' sphere to the negatives', in units of the distance; in `[-1e30, 1e30]`.
    pub margin: f64,
    /// The temperature of the negatives' weights; in `[-1e30, 1e30]`.
    pub Tn: f64,
    /// What the negatives count, from 0 to 1; the positives count the rest. Default `0.5`.
    #[cfg_attr(feature = "serde", serde(default = "half"))]
    pub imbalance: f64,
    /// α, the radius that negatives are kept out of; in `[-1e30, 1e30]`. Default `1 + margin / 2`.
    #[cfg_attr(feature = "serde", serde(default))]
    pub alpha: Option<f64>,
    /// The temperature of the positives' weights; in `[-1e30, 1e30]`. Default `0`.
    #[cfg_attr(feature = "serde", serde(default))]
    pub Tp: f64,
}

#[cfg(feature = "serde")]
fn half() -> f64 {
    0.5
}

impl RankedListLossConfig {
    /// The arguments that have no default, and PML's defaults for the others.
    #[must_use]
    pub fn new(margin: f64, negative_temperature: f64) -> Self {
        Self {
            margin,
            Tn: negative_temperature,
            imbalance: 0.5,
            alpha: None,
            Tp: 0.0,
        }
    }
}

/// Weighted violations of two spheres ([formula](self)). One term `loss`, per row.
#[derive(Clone, Debug)]
pub struct RankedListLoss {
    /// Positives: farther than this.
    inner: f64,
    /// Negatives: nearer than this.
    outer: f64,
    temperatures: [f64; 2],
    shares: [f64; 2],
    distance: Arc<dyn Distance>,
}

impl RankedListLoss {
    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if an argument is not finite, or `imbalance` is outside of 0 to 1;
    /// [`Error::Unsupported`] for a similarity.
    pub fn new(config: RankedListLossConfig, distance: Arc<dyn Distance>) -> Result<Self> {
        if distance.order() == Order::LargerIsCloser {
            return Err(Error::Unsupported {
                component: "RankedListLoss",
                reason: "its spheres are those of a distance, not of a similarity",
            });
        }
        let margin = check::finite("margin", config.margin)?;
        let alpha = check::finite("alpha", config.alpha.unwrap_or(1.0 + margin / 2.0))?;
        if !(0.0..=1.0).contains(&config.imbalance) {
            return Err(Error::InvalidParameter {
                name: "imbalance",
                value: config.imbalance,
                expected: "a number from 0 to 1",
            });
        }
        Ok(Self {
            inner: alpha - margin,
            outer: alpha,
            temperatures: [
                check::finite("Tp", config.Tp)?,
                check::finite("Tn", config.Tn)?,
            ],
            shares: [1.0 - config.imbalance, config.imbalance],
            distance,
        })
    }

    fn values(&self, matrix: &Tensor, pairs: &AnchorPairs) -> Result<Tensor> {
        if has_kernel(matrix) {
            let (_, columns) = matrix.dims2()?;
            return for_element!(matrix, "matrix", |T| {
                anchor_values::<T>("ranked_list", matrix, pairs, |_, positives, negatives| {
                    self.of_row(positives, negatives, columns)
                })
            });
        }
        let (positives, negatives) = pairs.tensors()?;
        // What does not count is named, so that NaN counts.
        let apart = matrix.le(0f64)?.eq(0u8)?;
        let beyond = matrix.le(self.inner)?.eq(0u8)?;
        let within = matrix.ge(self.outer)?.eq(0u8)?;
        let positives = ((positives.ne(0f64)? * beyond)? * &apart)?;
        let negatives = ((negatives.ne(0f64)? * within)? * apart)?;
        let positive = weighted_mean(&(matrix - self.inner)?, &positives, self.temperatures[0])?;
        let negative = weighted_mean(
            &matrix.affine(-1.0, self.outer)?,
            &negatives,
            self.temperatures[1],
        )?;
        Ok(((positive * self.shares[0])? + (negative * self.shares[1])?)?)
    }

    fn of_row<T: Real>(
        &self,
        positives: &mut Side<T>,
        negatives: &mut Side<T>,
        columns: usize,
    ) -> f64 {
        let ([near, far], [warm, cold]) = (self.shares, self.temperatures);
        let (inner, outer) = (T::from_f64(self.inner), T::from_f64(self.outer));
        let positive = weighted_mean_of_row(positives, warm, columns, near, |x| x - inner);
        let negative = weighted_mean_of_row(negatives, cold, columns, -far, |x| outer - x);
        near * positive + far * negative
    }
}

/// `Σ w v / (Σ w + ε N)` over the pairs of a side that are violated, N the number of `columns`, and its slopes times
/// `scale`.
/// False for NaN, which counts.
#[inline(always)]
fn is_at_most_zero<T: Real>(x: T) -> bool {
    x <= T::ZERO
}

fn weighted_mean_of_row<T: Real>(
    side: &mut Side<T>,
    temperature: f64,
    columns: usize,
    scale: f64,
    violation: impl Fn(T) -> T,
) -> f64 {
    let warmth = T::from_f64(temperature);
    let nothing = T::from_f64(f64::NEG_INFINITY);
    for (x, exponent) in side.x.iter_mut().zip(&mut side.slopes) {
        let violation = violation(*x);
        let counts = !is_at_most_zero(violation) && !is_at_most_zero(*x);
        *x = if counts { violation } else { T::ZERO };
        *exponent = if counts { warmth * violation } else { nothing };
    }
    let sum = softmax_in_place(&mut side.slopes, &[], false);
    if sum == f64::NEG_INFINITY {
        return 0.0;
    }
    // Σ w over Σ w + ε N: what the floor leaves of the shares.
    let left = 1.0 / (1.0 + FLOOR * columns as f64 * (-sum).exp());
    let mean = left * dot(&side.slopes, &side.x);
    let factor = T::from_f64(scale * left);
    let [level, warmth] = [1.0 - temperature * mean, temperature].map(T::from_f64);
    for (slope, violation) in side.slopes.iter_mut().zip(&side.x) {
        *slope = factor * *slope * (level + warmth * *violation);
    }
    mean
}

/// The same of every row `[N]`, over the columns that count.
fn weighted_mean(violations: &Tensor, counts: &Tensor, temperature: f64) -> Result<Tensor> {
    let zeros = violations.zeros_like()?;
    // What does not count is 0 before it is an exponent, so that none of them is infinite.
    let violations = counts.where_cond(violations, &zeros)?; // [N, N]
    let exponents = (&violations * temperature)?;
    let top = exponents.detach().max_keepdim(1)?;
    let top = top.maximum(&top.zeros_like()?)?; // [N, 1]
    let weights = exponents.broadcast_sub(&top)?.exp()?;
    let weights = counts.where_cond(&weights, &zeros)?;
    let floor = (top.neg()?.exp()? * (FLOOR * violations.dims()[1] as f64))?.squeeze(1)?;
    let total = (weights.sum(1)? + floor)?;
    Ok(((weights * violations)?.sum(1)? / total)?)
}

impl Loss for RankedListLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        check::unweighted("RankedListLoss", batch)?;
        if let Some(terms) = batch.spoiled(tuples)? {
            return Ok(terms);
        }
        demands::no_tuples("RankedListLoss", tuples)?;
        demands::no_reference("RankedListLoss", batch)?;
        let pairs = AnchorPairs::listed("RankedListLoss", batch, &Tuples::all())?;
        if batch.queries() == 0 {
            return Ok(Term::empty("loss").into());
        }
        let values = self.values(&batch.distances(&self.distance)?, &pairs)?;
        let rows = (0..batch.queries() as u32).collect();
        let with_pairs = pairs.count_anchors(|near, far| near || far);
        let term = term_over_rows("loss", &values, rows, batch, tuples)?;
        Ok(term.with_divisor(with_pairs as f64).into())
    }

    fn takes_reference(&self) -> bool {
        false
    }

    fn takes_tuples(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
