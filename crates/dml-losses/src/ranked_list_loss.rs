//! Ranked list loss: positives within a sphere around each row, negatives outside of a larger one.
//!
//! ```text
//! v⁺ = d(i,j) − (α − margin)  for positives farther than α − margin,   weight e^{Tp v⁺}
//! v⁻ = α − d(i,j)             for negatives nearer than α,             weight e^{Tn v⁻}
//! ℓ_i = (1 − imbalance) · Σ w v⁺ / (Σ w + ε N) + imbalance · Σ w v⁻ / (Σ w + ε N),   ε = 1e-5
//! ```
//!
//! The gradient goes through the weights, too. Rows at distance 0 count on neither side.
//!
//! Wang, Hua, Kodirov, Hu, Garnier and Robertson, "Ranked List Loss for Deep Metric Learning" (CVPR 2019,
//! arXiv:1903.03238).
//!
//! The largest exponent is taken out of both sums, so no temperature overflows.

use std::sync::Arc;

use candle_core::Tensor;
use dml_core::fused::{self, has_kernel};
use dml_core::kernels::{PairMask, Real};
use dml_core::tuples::mask_tensors;
use dml_core::{
    Batch, Distance, Error, Loss, Order, Result, Term, Terms, Tuples, check, for_element,
};

use crate::demands;
use crate::row_terms::term_over_rows;

/// ε: what each column adds to the sum of the weights.
const FLOOR: f64 = 1e-5;

/// Knobs of [`RankedListLoss`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
#[expect(non_snake_case, reason = "the temperatures are named as in the paper")]
pub struct RankedListLossConfig {
    /// From the positives' sphere to the negatives', in units of the distance; finite.
    pub margin: f64,
    /// The temperature of the negatives' weights; finite.
    pub Tn: f64,
    /// What the negatives count, from 0 to 1; the positives count the rest. Default `0.5`.
    #[cfg_attr(feature = "serde", serde(default = "half"))]
    pub imbalance: f64,
    /// α, the radius that negatives are kept out of; finite. Default `1 + margin / 2`.
    #[cfg_attr(feature = "serde", serde(default))]
    pub alpha: Option<f64>,
    /// The temperature of the positives' weights; finite. Default `0`.
    #[cfg_attr(feature = "serde", serde(default))]
    pub Tp: f64,
}

#[cfg(feature = "serde")]
fn half() -> f64 {
    0.5
}

impl RankedListLossConfig {
    /// The knobs that have no default, and PML's defaults for the others.
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
    /// [`Error::InvalidParameter`] if a knob is not finite, or `imbalance` is outside of 0 to 1;
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

    fn values(&self, matrix: &Tensor, pairs: &PairMask) -> Result<Tensor> {
        if has_kernel(matrix) {
            return for_element!(matrix, "matrix", |T| {
                fused::row_values::<T>("ranked_list", matrix, |row, x, slopes| {
                    self.of_row(x, slopes, pairs, row)
                })
            });
        }
        let (positives, negatives) = mask_tensors(pairs, matrix.device())?;
        let apart = matrix.gt(0f64)?;
        let positives = ((positives * matrix.gt(self.inner)?)? * &apart)?;
        let negatives = ((negatives * matrix.lt(self.outer)?)? * apart)?;
        let positive = weighted_mean(&(matrix - self.inner)?, &positives, self.temperatures[0])?;
        let negative = weighted_mean(
            &matrix.affine(-1.0, self.outer)?,
            &negatives,
            self.temperatures[1],
        )?;
        Ok(((positive * self.shares[0])? + (negative * self.shares[1])?)?)
    }

    fn of_row<T: Real>(&self, x: &[T], slopes: &mut [T], pairs: &PairMask, row: usize) -> T {
        let distance = |j: u32| x[j as usize].to_f64();
        let positives = pairs.positives(row).map(|j| (j, distance(j) - self.inner));
        let positives = positives.filter(|(j, v)| *v > 0.0 && distance(*j) > 0.0);
        let negatives = pairs.negatives(row).map(|j| (j, self.outer - distance(j)));
        let negatives = negatives.filter(|(j, v)| *v > 0.0 && distance(*j) > 0.0);
        let [near, far] = self.shares;
        let positive = Violations::new(positives).mean(self.temperatures[0], x.len(), near, slopes);
        let negative = Violations::new(negatives).mean(self.temperatures[1], x.len(), -far, slopes);
        T::from_f64(near * positive + far * negative)
    }
}

/// How far some columns of a row are on the wrong side.
struct Violations {
    columns: Vec<u32>,
    values: Vec<f64>,
}

impl Violations {
    fn new(violations: impl Iterator<Item = (u32, f64)>) -> Self {
        let (columns, values) = violations.unzip();
        Self { columns, values }
    }

    /// `Σ w v / (Σ w + ε N)` of `count` columns, with `scale` times its slopes added to `slopes`.
    fn mean<T: Real>(&self, temperature: f64, count: usize, scale: f64, slopes: &mut [T]) -> f64 {
        let mut weights: Vec<f64> = self.values.iter().map(|v| temperature * v).collect();
        let top = weights.iter().fold(0.0, |top: f64, e| top.max(*e));
        for weight in &mut weights {
            *weight = Real::quick_exp(*weight - top);
        }
        let products = weights.iter().zip(&self.values).map(|(w, v)| w * v);
        let total = weights.iter().sum::<f64>() + FLOOR * count as f64 * (-top).exp();
        let mean = products.sum::<f64>() / total;
        for ((j, v), weight) in self.columns.iter().zip(&self.values).zip(&weights) {
            let slope = weight / total * (1.0 + temperature * (v - mean));
            slopes[*j as usize] += T::from_f64(scale * slope);
        }
        mean
    }
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
        demands::no_tuples("RankedListLoss", tuples)?;
        demands::no_reference("RankedListLoss", batch)?;
        let pairs = batch.require_relation("RankedListLoss")?.mask();
        if batch.queries() == 0 {
            return Ok(Term::empty("loss").into());
        }
        let values = self.values(&batch.distances(&self.distance)?, &pairs)?;
        let rows = (0..batch.queries() as u32).collect();
        Ok(term_over_rows("loss", &values, rows, batch, tuples)?.into())
    }

    fn takes_reference(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
