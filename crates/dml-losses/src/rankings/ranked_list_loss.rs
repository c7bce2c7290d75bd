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

use dml_core::{Batch, Distance, Loss, Order, Result, Term, Terms, Tuples, check};

use crate::machinery::anchor_formula::{AnchorFormula, Needs, PairsOfKind, values_of_anchors};
use crate::machinery::anchor_pairs::AnchorPairs;
use crate::machinery::expression::Expression;
use crate::machinery::requirements;
use crate::machinery::row_terms::term_over_rows;

/// ε: what each column adds to the sum of the weights.
const FLOOR: f64 = 1e-5;

dml_core::config! {
    /// Configuration of [`RankedListLoss`].
    #[expect(non_snake_case, reason = "the temperatures are named as in the paper")]
    pub struct RankedListLossConfig {
        /// From the positives' sphere to the negatives', in units of the distance; in `[-1e30, 1e30]`.
        pub margin: f64,
        /// The temperature of the negatives' weights; in `[-1e30, 1e30]`.
        pub Tn: f64;
        /// What the negatives count, from 0 to 1; the positives count the rest. Default `0.5`.
        pub imbalance: f64 = 0.5,
        /// α, the radius that negatives are kept out of; in `[-1e30, 1e30]`. Default `1 + margin / 2`.
        pub alpha: Option<f64> = None,
        /// The temperature of the positives' weights; in `[-1e30, 1e30]`. Default `0`.
        pub Tp: f64 = 0.0,
    }
}

/// Weighted violations of two spheres ([formula](self)). One term `loss`, per row.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::LpDistance;
/// use dml_losses::{RankedListLoss, RankedListLossConfig};
///
/// // Positives within 1, negatives beyond 2.
/// let config = RankedListLossConfig { alpha: Some(2.0), ..RankedListLossConfig::new(1.0, 0.0) };
/// let loss = RankedListLoss::new(config, LpDistance::unnormalized())?;
/// let embeddings = Tensor::new(&[[0f64], [4.], [1.]], &Device::Cpu)?;
/// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
/// // Rows 0 and 1 are 4 apart, 3 too far; rows 0 and 2 are 1 apart, 1 too near; rows 1 and 2 are 3 apart.
/// let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?;
/// let weights = 1. + 3e-5; // One violation, and ε for each of three rows.
/// for (value, want) in values.iter().zip([(3. + 1.) / 2., 3. / 2., 1f64 / 2.]) {
///     assert!((value - want / weights).abs() < 1e-12);
/// }
/// # Ok::<(), dml_core::Error>(())
/// ```
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
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if an argument is not finite, or `imbalance` is
    /// outside of 0 to 1; [`Error::Unsupported`](dml_core::Error::Unsupported) for a similarity.
    pub fn new(config: RankedListLossConfig, distance: impl Distance + 'static) -> Result<Self> {
        let reason = "its spheres are those of a distance, not of a similarity";
        let fits = distance.order() != Order::LargerIsCloser;
        check::supported(fits, "RankedListLoss", reason)?;
        let margin = check::finite("margin", config.margin)?;
        let alpha = check::finite("alpha", config.alpha.unwrap_or(1.0 + margin / 2.0))?;
        let imbalance = config.imbalance;
        let fits = (0.0..=1.0).contains(&imbalance);
        check::parameter(fits, "imbalance", imbalance, "a number from 0 to 1")?;
        Ok(Self {
            inner: alpha - margin,
            outer: alpha,
            temperatures: [
                check::finite("Tp", config.Tp)?,
                check::finite("Tn", config.Tn)?,
            ],
            shares: [1.0 - imbalance, imbalance],
            distance: Arc::new(distance),
        })
    }
}

/// The formula of a row, with ε N.
#[derive(Clone, Copy)]
struct Spheres<'a> {
    loss: &'a RankedListLoss,
    floor: f64,
}

impl AnchorFormula for Spheres<'_> {
    const NEEDS: Needs = Needs::AnyPair;

    #[inline(always)]
    fn value<P: PairsOfKind>(&self, positives: &mut P, negatives: &mut P) -> P::Value {
        let RankedListLoss { inner, outer, .. } = *self.loss;
        let ([warm, cold], [near, far]) = (self.loss.temperatures, self.loss.shares);
        let positive = positives.weighted_violations(
            warm,
            #[inline(always)]
            |x| apart(&x, x.clone() - inner),
        );
        let negative = negatives.weighted_violations(
            cold,
            #[inline(always)]
            |x| apart(&x, -x.clone() + outer),
        );
        // Σ w / (Σ w + ε N) = e^{−ln(1 + e^{ln ε N − ln Σ w})}: what the floor leaves of the mean.
        let mean = |[sum, mean]: [P::Value; 2]| {
            let floor = -sum + self.floor.ln();
            mean * (-floor.softplus()).exp()
        };
        mean(positive) * near + mean(negative) * far
    }
}

/// The violation of a row at the distance `x`; at distance 0 it does not count.
#[inline(always)]
fn apart<E: Expression>(x: &E, violation: E) -> E {
    E::select(x.is_at_most(0.0), x.constant(0.0), violation)
}

impl Loss for RankedListLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        requirements::check(self, "RankedListLoss", batch, tuples)?;
        if let Some(terms) = batch.spoiled(tuples)? {
            return Ok(terms);
        }
        let pairs = AnchorPairs::listed(self, "RankedListLoss", batch, &Tuples::all())?;
        if batch.queries() == 0 {
            return Ok(Term::empty("loss").into());
        }
        let matrix = batch.distances(&self.distance)?; // [N, N]
        let spheres = Spheres {
            loss: self,
            floor: FLOOR * batch.references() as f64,
        };
        let (values, with_pairs) = values_of_anchors("ranked_list", &spheres, &matrix, &pairs)?;
        let rows = (0..batch.queries() as u32).collect();
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
