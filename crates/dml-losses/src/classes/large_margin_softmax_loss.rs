//! Multiplicative angular margin on dot products: the angle between an embedding and its class counts m times.
//!
//! ```text
//! φ = (−1)ᵏ cos(m θ_y) − 2k,   k = ⌊m θ_y / π⌋: falls from 1 at angle 0 to 1 − 2m at angle π
//! zⱼ = s ‖e‖ ‖Wⱼ‖ cos θⱼ,   for the own class y: s ‖e‖ ‖W_y‖ φ
//! ℓ = w · −ln( e^{z_y} / Σⱼ e^{zⱼ} )
//! ```
//!
//! m: margin, a whole number; what comes after its decimal point is cut off. w is how often the tuples name the row, at
//! most 1 ([`Tuples::weights`](dml_core::Tuples::weights)).
//!
//! Liu, Wen, Yu and Yang, "Large-Margin Softmax Loss for Convolutional Neural Networks", 2016, arXiv:1612.02295. The norms
//! are those of the distance, so that with p = 2 the logits of the other classes are dot products.

use candle_core::Tensor;
use dml_core::Result;

use crate::classes::class_softmax::{ClassLogits, Margin};
use crate::classes::margin_softmax::{MarginSoftmax, MarginSoftmaxLoss, margin_softmax_loss};
use crate::classes::multiple_angle::MultipleAngle;
use crate::machinery::expression::Expression;

margin_softmax_loss! {
    /// Configuration of [`LargeMarginSoftmaxLoss`].
    pub struct LargeMarginSoftmaxLossConfig {
        /// Factor of the angle, 1 to 1,000, rounded down. Default `4`.
        margin = 4.0,
        /// Factor of the logits, in `[-1e30, 1e30]`. Default `1`.
        scale = 1.0,
    }

    /// Softmax over classes with a multiplied angle ([formula](self)). One term `loss`, per row. Learns `W` `[dim, classes]`.
    ///
    /// ```
    /// use dml_core::candle_core::{DType, Device, Tensor};
    /// use dml_core::{Batch, Loss, Tuples};
    /// use dml_distances::CosineSimilarity;
    /// use dml_losses::{LargeMarginSoftmaxLoss, LargeMarginSoftmaxLossConfig, SeededVars};
    ///
    /// let vars = SeededVars::new(0).builder(DType::F32, &Device::Cpu);
    /// let config = LargeMarginSoftmaxLossConfig { margin: 2.0, ..LargeMarginSoftmaxLossConfig::new(2, 2) };
    /// let loss = LargeMarginSoftmaxLoss::new(config, CosineSimilarity::default(), vars)?;
    /// let (_, weights) = &loss.parameters()[0];
    /// weights.set(&Tensor::new(&[[2f32, 0.], [0., 3.]], &Device::Cpu)?)?;
    ///
    /// let batch = Batch::new(&Tensor::new(&[[0.8f32, 0.6]], &Device::Cpu)?, &[0i64])?;
    /// let terms = loss.terms(&batch, &Tuples::all())?;
    /// // The cosine of twice the angle to its class is 2 · 0.8² − 1 = 0.28, and the weights are 2 and 3 long.
    /// let value = terms.get("loss").unwrap().values()?.0.to_vec1::<f32>()?[0];
    /// assert!((value - (3f32 * 0.6 - 2.0 * 0.28).exp().ln_1p()).abs() < 1e-6);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct LargeMarginSoftmaxLoss(AngleOfProducts) = |margin| MultipleAngle::new(margin).map(AngleOfProducts);
}

/// A multiple of the angle, in logits that are dot products.
#[derive(Clone, Debug)]
struct AngleOfProducts(MultipleAngle);

impl Margin for AngleOfProducts {
    #[inline(always)]
    fn own<E: Expression>(&self, cosine: E) -> E {
        self.0.own(cosine)
    }
}

impl MarginSoftmax for AngleOfProducts {
    fn logits(loss: &MarginSoftmaxLoss<Self>, embeddings: &Tensor) -> Result<ClassLogits> {
        let weights = loss.weights.rows_for(embeddings)?;
        let cosines = loss.distance.matrix(embeddings, Some(&weights))?; // [rows, classes]
        Ok(ClassLogits {
            rows: Some(loss.distance.norms(embeddings)?),
            classes: Some(loss.distance.norms(&weights)?),
            ..ClassLogits::new(cosines, loss.scale)
        })
    }
}

#[cfg(test)]
mod tests;
