//! Multiplicative angular margin on cosines: the angle between an embedding and its class counts m times.
//!
//! ```text
//! φ = (−1)ᵏ cos(m θ_y) − 2k,   k = ⌊m θ_y / π⌋: falls from 1 at angle 0 to 1 − 2m at angle π
//! zⱼ = s ‖e‖₂ cos θⱼ,   for the own class y: s ‖e‖₂ φ
//! ℓ = w · −ln( e^{z_y} / Σⱼ e^{zⱼ} )
//! ```
//!
//! m: margin, a whole number; what comes after its decimal point is cut off. w is how often the tuples name the row, at
//! most 1 ([`Tuples::weights`](dml_core::Tuples::weights)).
//!
//! Liu, Wen, Yu, Li, Raj and Song, "`SphereFace`: Deep Hypersphere Embedding for Face Recognition", 2017, arXiv:1704.08063.

use candle_core::Tensor;
use dml_core::{Result, TensorExt};

use crate::classes::class_softmax::{ClassLogits, Margin};
use crate::classes::margin_softmax::{MarginSoftmax, MarginSoftmaxLoss, margin_softmax_loss};
use crate::classes::multiple_angle::MultipleAngle;
use crate::machinery::expression::Expression;

margin_softmax_loss! {
    /// Configuration of [`SphereFaceLoss`].
    pub struct SphereFaceLossConfig {
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
    /// use dml_losses::{SeededVars, SphereFaceLoss, SphereFaceLossConfig};
    ///
    /// let vars = SeededVars::new(0).builder(DType::F32, &Device::Cpu);
    /// let config = SphereFaceLossConfig { margin: 2.0, ..SphereFaceLossConfig::new(2, 2) };
    /// let loss = SphereFaceLoss::new(config, CosineSimilarity::default(), vars)?;
    /// let (_, weights) = &loss.parameters()[0];
    /// weights.set(&Tensor::new(&[[2f32, 0.], [0., 3.]], &Device::Cpu)?)?;
    ///
    /// let batch = Batch::new(&Tensor::new(&[[4f32, 3.]], &Device::Cpu)?, &[0i64])?;
    /// let terms = loss.terms(&batch, &Tuples::all())?;
    /// // The row is 5 long. The cosine of twice the angle to its class is 2 · 0.8² − 1 = 0.28, that to the other class 0.6.
    /// let value = terms.get("loss").unwrap().values()?.0.to_vec1::<f32>()?[0];
    /// assert!((value - (5f32 * (0.6 - 0.28)).exp().ln_1p()).abs() < 1e-6);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct SphereFaceLoss(AngleOfRows) = |margin| MultipleAngle::new(margin).map(AngleOfRows);
}

/// A multiple of the angle, in logits that are as long as the rows.
#[derive(Clone, Debug)]
struct AngleOfRows(MultipleAngle);

impl Margin for AngleOfRows {
    #[inline(always)]
    fn own<E: Expression>(&self, cosine: E) -> E {
        self.0.own(cosine)
    }
}

impl MarginSoftmax for AngleOfRows {
    fn logits(loss: &MarginSoftmaxLoss<Self>, embeddings: &Tensor) -> Result<ClassLogits> {
        let cosines = loss.weights.compared(&loss.distance, embeddings)?;
        Ok(ClassLogits {
            rows: Some(embeddings.row_norms(2.0)?),
            ..ClassLogits::new(cosines, loss.scale)
        })
    }
}

#[cfg(test)]
mod tests;
