//! Angular loss: the angle at the negative of the triangle that it makes with anchor and positive should be small.
//!
//! ```text
//! ℓ(a,p) = ln(1 + Σₙ e^{4T (â + p̂)·n − 2(1 + T) â·p̂})        T = tan²(alpha)
//! n: everything that is negative for a        â, p̂: rows divided by their length
//! ```
//!
//! Wang, Zhou, Wen, Liu and Lin, "Deep Metric Learning with Angular Loss" (2017, arXiv:1708.01682), equations 7 and 8. Tuples
//! choose pairs (a,p); the negatives always are those of the relation, and they are not divided by their length.
//!
//! The exponent has a part of (a,n) and one of (p,n): two matrices, `O(N²)` memory. The sum is another one for every pair:
//! `O(P N)` time for P positive pairs, in registers.

mod sums_of_pairs;

use dml_core::{
    Batch, Distance, Indices, Loss, Over, Relation, Result, TensorExt, Term, Terms, Tuples, check,
};

use crate::machinery::requirements;

use sums_of_pairs::PositivePairs;

dml_core::config! {
    /// Configuration of [`AngularLoss`].
    pub struct AngularLossConfig {
        /// The largest angle at the negative that costs nothing, in degrees; in `[-1e30, 1e30]`. Default `40`.
        pub alpha: f64 = 40.0,
    }
}

/// Soft bound of the angle at all negatives ([formula](self)). One term `loss`, per positive pair; empty without any
/// positive or any negative pair.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::LpDistance;
/// use dml_losses::{AngularLoss, AngularLossConfig};
///
/// let config = AngularLossConfig { alpha: 45.0 };
/// let loss = AngularLoss::new(config, LpDistance::default())?;
/// let embeddings = Tensor::new(&[[2f64, 0.], [0., 3.], [0.25, 0.]], &Device::Cpu)?;
/// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
/// // T = 1, â + p̂ = (1, 1) and â·p̂ = 0 for both pairs: the exponent is 4 · 0.25 − 0.
/// let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?;
/// let want = (1. + 1f64.exp()).ln();
/// assert!((values[0] - want).abs() < 1e-12 && (values[1] - want).abs() < 1e-12);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AngularLoss {
    /// tan²(alpha).
    squared_tangent: f64,
}

impl AngularLoss {
    /// A loss over the unit sphere. `distance` is asked for its kind alone.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if the angle is not finite,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) for a distance that is not the Euclidean one of normalised
    /// rows.
    pub fn new(config: AngularLossConfig, distance: impl Distance + 'static) -> Result<Self> {
        let reason =
            "its triangles are Euclidean, between normalised rows: it needs LpDistance as it comes";
        check::supported(distance.kind().is_unit_euclidean(), "AngularLoss", reason)?;
        let tangent = check::finite("alpha", config.alpha)?.to_radians().tan();
        Ok(Self {
            squared_tangent: tangent * tangent,
        })
    }
}

impl Loss for AngularLoss {
    /// # Errors
    /// [`Error::Missing`](dml_core::Error::Missing) for a batch without a relation, whatever the tuples: the negatives
    /// come from it.
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        requirements::check(self, "AngularLoss", batch, tuples)?;
        if let Some(terms) = batch.spoiled(&Tuples::all())? {
            return Ok(terms);
        }
        let relation = batch.require_relation("AngularLoss")?;
        let Some(pairs) = positive_pairs(batch, relation, tuples)? else {
            return Ok(Term::empty("loss").into());
        };
        let tangent = self.squared_tangent;
        // Unit rows times rows as they come: [Q, R] and [R, R].
        let (rows, reference) = (batch.embeddings(), batch.reference());
        let unit = rows.normalize_rows(2.0)?;
        let from_anchor = unit.pairwise_dot(reference.unwrap_or(rows))?;
        let (unit_reference, from_positive) = match reference {
            None => (unit.clone(), from_anchor.clone()),
            Some(reference) => {
                let unit = reference.normalize_rows(2.0)?;
                let dots = unit.pairwise_dot(reference)?;
                (unit, dots)
            }
        };
        let (sums, any) = pairs.sums(
            &(&from_anchor * (4.0 * tangent))?,
            &(from_positive * (4.0 * tangent))?,
        )?; // [P]
        // A product of its own: the dot product divided by the length of the positive has a gradient divided by the square
        // of that length, which is 0 for short rows.
        let cosines = unit.pairwise_dot(&unit_reference)?; // [Q, R]
        let cosines = cosines.pick_entries(&pairs.anchors, &pairs.positives)?; // [P]
        let values = (sums - (cosines * (2.0 * (1.0 + tangent)))?)?.safe_softplus()?;
        let values = match any {
            None => values,
            Some(any) => any.where_cond(&values, &values.zeros_like()?)?,
        };
        let indices = Indices::Pairs {
            anchors: pairs.anchors,
            others: pairs.positives,
        };
        Ok(Term::explicit("loss", Over::PositivePairs, values, indices)?.into())
    }
}

/// The positive pairs of the tuples, in order; `None` if there is no positive pair at all, or no negative one.
fn positive_pairs(
    batch: &Batch,
    relation: &Relation,
    tuples: &Tuples,
) -> Result<Option<PositivePairs>> {
    let (mut anchors, mut positives) = (Vec::new(), Vec::new());
    let mut has_negatives = false;
    if tuples.is_all() {
        let mut negatives = Vec::new();
        for q in 0..relation.queries() {
            negatives.clear();
            relation.split(q, &mut positives, &mut negatives);
            anchors.resize(positives.len(), q as u32);
            has_negatives |= !negatives.is_empty();
        }
    } else {
        let list = tuples.pairs(batch)?;
        anchors.extend_from_slice(&list.positive_anchors);
        positives.extend_from_slice(&list.positives);
        has_negatives = !list.negatives.is_empty();
    }
    let is_complete = has_negatives && !positives.is_empty();
    Ok(is_complete.then(|| PositivePairs::new(anchors, positives, relation)))
}

#[cfg(test)]
mod tests;
