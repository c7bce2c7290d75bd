//! Contrastive loss: positives should be closer than one margin, negatives farther than another.
//!
//! ```text
//! pos_loss(a,p) = max(0, h(a,p) − pos_margin)
//! neg_loss(a,n) = max(0, neg_margin − h(a,n))        h: the distance
//! ```
//!
//! For similarities both differences change their sign. The value of a pair is multiplied by its weight in the relation.
//!
//! Hadsell, Chopra and LeCun, "Dimensionality Reduction by Learning
//! an Invariant Mapping" (CVPR 2006); here the hinges are not squared.
//!
//! Pairs that come as a set are summed without being written out: `O(N²)` time, and memory for the matrix alone.

use dml_core::{Result, Terms};

use crate::machinery::expression::Expression;
use crate::machinery::pair_formula::PairFormula;
use crate::pairs::pair_loss::{ComparedPairs, pair_loss};

pair_loss! {
    /// Configuration of [`ContrastiveLoss`].
    pub struct ContrastiveLossConfig {
        /// Positives closer than this cost nothing, in units of the distance; finite. Default `0`. For a similarity take
        /// the largest one, such as `1`. In `[-1e30, 1e30]`.
        pos_margin: finite = 0.0,
        /// Negatives farther than this cost nothing, in units of the distance; finite. Default `1`. For a similarity take
        /// a small one, such as `0`. In `[-1e30, 1e30]`.
        neg_margin: finite = 1.0,
    }

    /// Hinges on positive and on negative pairs ([formula](self)). Terms `pos_loss` per positive pair and `neg_loss` per
    /// negative pair.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_core::{Batch, Loss, Tuples};
    /// use dml_distances::LpDistance;
    /// use dml_losses::{ContrastiveLoss, ContrastiveLossConfig};
    ///
    /// let config = ContrastiveLossConfig { pos_margin: 0.25, neg_margin: 2.0 };
    /// let loss = ContrastiveLoss::new(config, LpDistance::unnormalized())?;
    /// let embeddings = Tensor::new(&[[0f64], [1.], [2.5]], &Device::Cpu)?;
    /// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
    /// // The positives are 1 apart, 0.75 more than their margin.
    /// let positives = terms.get("pos_loss").unwrap().values()?.0.to_vec1::<f64>()?;
    /// assert_eq!(positives, [0.75, 0.75]);
    /// // The negative is 2.5 away from row 0 and 1.5 from row 1, which is 0.5 short of the margin; then the same from row 2.
    /// let negatives = terms.get("neg_loss").unwrap().values()?.0.to_vec1::<f64>()?;
    /// assert_eq!(negatives, [0., 0.5, 0., 0.5]);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct ContrastiveLoss { pairs: listed, reads_weights: true }

    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if a margin is not finite.
    fn new();

    fn terms(config, pairs) {
        hinges(pairs, config.pos_margin, config.neg_margin)
    }
}

/// A hinge on every positive and every negative pair.
pub(super) fn hinges(pairs: &ComparedPairs<'_>, pos_margin: f64, neg_margin: f64) -> Result<Terms> {
    let hinge = |sign, margin| Hinge { sign, margin };
    let sign = pairs.sign();
    pairs.both_kinds(hinge(sign, pos_margin), hinge(-sign, neg_margin))
}

/// `max(0, sign · (x − margin))`.
#[derive(Clone, Copy, Debug)]
struct Hinge {
    sign: f64,
    margin: f64,
}

impl PairFormula for Hinge {
    #[inline(always)]
    fn value<E: Expression>(&self, x: E, _: E) -> E {
        ((x - self.margin) * self.sign).hinge()
    }
}

#[cfg(test)]
mod tests;
