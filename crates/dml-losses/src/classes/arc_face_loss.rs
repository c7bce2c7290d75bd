//! Additive angular margin: the angle between an embedding and its class has to be smaller by a margin.
//!
//! ```text
//! cos θⱼ = cosine of the embedding and the weight of class j,   y: the own class
//! φ = cos(θ_y + m) = cos θ_y cos m − sin θ_y sin m              where θ_y ≤ π − m
//! φ = cos θ_y − m sin m                                         beyond, so that it goes on falling
//! ℓ = w · −ln( e^{s φ} / (e^{s φ} + Σ_{j≠y} e^{s cos θⱼ}) )     m: margin, s: scale
//! ```
//!
//! w is how often the tuples name the row, at most 1 ([`Tuples::weights`](dml_core::Tuples::weights)).
//!
//! Deng, Guo, Xue, Yang, Kotsia and Zafeiriou, "`ArcFace`: Additive Angular Margin Loss for Deep Face Recognition", 2018,
//! arXiv:1801.07698.
//!
//! Beyond ±1, where rounding or a norm with p ≠ 2 may lead, a cosine has the angle of the nearer bound: φ is a constant
//! there, with gradient 0, and so it is at the bounds themselves, where the angle has no derivative. The sine comes from the
//! cosine without going through the angle. The cost is that of the matrix products of embeddings with weights,
//! `O(rows · classes · dim)`.

use std::f64::consts::PI;

use dml_core::{Result, check};

use crate::classes::class_softmax::Margin;
use crate::classes::margin_softmax::{MarginSoftmax, margin_softmax_loss};
use crate::machinery::expression::Expression;

margin_softmax_loss! {
    /// Configuration of [`ArcFaceLoss`].
    pub struct ArcFaceLossConfig {
        /// Margin in degrees; any finite number. Default `28.6`.
        margin = 28.6,
        /// Factor of the cosines, in `[-1e30, 1e30]`. Default `64`.
        scale = 64.0,
    }

    /// Softmax over cosines with an angular margin ([formula](self)). One term `loss`, per row. Learns `W` `[dim, classes]`.
    ///
    /// ```
    /// use dml_core::candle_core::{DType, Device, Tensor};
    /// use dml_core::{Batch, Loss, Tuples};
    /// use dml_distances::CosineSimilarity;
    /// use dml_losses::{ArcFaceLoss, ArcFaceLossConfig, SeededVars};
    ///
    /// let vars = SeededVars::new(0);
    /// let config = ArcFaceLossConfig { margin: 60.0, scale: 1.0, ..ArcFaceLossConfig::new(2, 2) };
    /// let builder = vars.builder(DType::F32, &Device::Cpu);
    /// let loss = ArcFaceLoss::new(config, CosineSimilarity::default(), builder)?;
    /// let (_, weight) = &loss.parameters()[0];
    /// weight.set(&Tensor::new(&[[1f32, 0.], [0., 1.]], &Device::Cpu)?)?;
    ///
    /// let embeddings = Tensor::new(&[[2f32, 0.]], &Device::Cpu)?;
    /// let terms = loss.terms(&Batch::new(&embeddings, &[0i64])?, &Tuples::all())?;
    /// // The angle to the own class is 0, so its cosine counts as cos 60° = ½, and that of the other is 0.
    /// let value = terms.get("loss").unwrap().values()?.0.to_vec1::<f32>()?[0];
    /// assert!((value - (1.0 + (-0.5f32).exp()).ln()).abs() < 1e-6);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct ArcFaceLoss(AngularMargin) = AngularMargin::degrees;
}

/// A margin that is added to the angle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AngularMargin {
    sin: f64,
    cos: f64,
    /// What the cosine loses where the angle is too wide to add the margin.
    loss_beyond: f64,
    /// The smallest cosine that the margin is added to.
    lowest: f64,
}

impl AngularMargin {
    pub(crate) fn degrees(margin: f64) -> Result<Self> {
        let margin = check::finite("margin", margin)?.to_radians();
        Ok(Self {
            sin: margin.sin(),
            cos: margin.cos(),
            loss_beyond: margin * margin.sin(),
            lowest: if margin > PI {
                f64::INFINITY
            } else if margin <= 0.0 {
                f64::NEG_INFINITY
            } else {
                -margin.cos()
            },
        })
    }
}

impl Margin for AngularMargin {
    #[inline(always)]
    fn own<E: Expression>(&self, cosine: E) -> E {
        let bound = cosine.detach().clamp(-1.0, 1.0);
        let cosine = E::select(cosine.clone().abs().is_at_least(1.0), bound, cosine);
        // Near the bounds rounding may leave less than 0 under the root.
        let sine = (-(cosine.clone() * cosine.clone()) + 1.0).hinge().sqrt();
        let added = cosine.clone() * self.cos - sine * self.sin;
        let beyond = cosine.clone() - self.loss_beyond;
        E::select(cosine.is_below(self.lowest), beyond, added)
    }
}

impl MarginSoftmax for AngularMargin {}

#[cfg(test)]
mod tests;
