//! Additive cosine margin: the cosine of an embedding and its class has to be larger by a margin.
//!
//! ```text
//! cos θⱼ = cosine of the embedding and the weight of class j,   y: the own class
//! ℓ = w · −ln( e^{s (cos θ_y − m)} / (e^{s (cos θ_y − m)} + Σ_{j≠y} e^{s cos θⱼ}) )       m: margin, s: scale
//! ```
//!
//! w is how often the tuples name the row, at most 1 ([`Tuples::weights`](dml_core::Tuples::weights)).
//!
//! Wang, Wang, Zhou, Ji, Gong, Zhou, Li and Liu, "`CosFace`: Large Margin Cosine Loss for Deep Face Recognition", 2018,
//! arXiv:1801.09414.

use dml_core::check;

use crate::classes::class_softmax::Subtracted;
use crate::classes::margin_softmax::margin_softmax_loss;

margin_softmax_loss! {
    /// Configuration of [`CosFaceLoss`].
    pub struct CosFaceLossConfig {
        /// Margin in units of the cosine, in `[-1e30, 1e30]`. Default `0.35`.
        margin = 0.35,
        /// Factor of the cosines, in `[-1e30, 1e30]`. Default `64`.
        scale = 64.0,
    }

    /// Softmax over cosines with a margin ([formula](self)). One term `loss`, per row. Learns `W` `[dim, classes]`.
    ///
    /// ```
    /// use dml_core::candle_core::{DType, Device, Tensor};
    /// use dml_core::{Batch, Loss, Tuples};
    /// use dml_distances::CosineSimilarity;
    /// use dml_losses::{CosFaceLoss, CosFaceLossConfig, SeededVars};
    ///
    /// let vars = SeededVars::new(0).builder(DType::F32, &Device::Cpu);
    /// let config = CosFaceLossConfig { margin: 0.2, scale: 5.0, ..CosFaceLossConfig::new(2, 2) };
    /// let loss = CosFaceLoss::new(config, CosineSimilarity::default(), vars)?;
    /// let (_, weights) = &loss.parameters()[0];
    /// weights.set(&Tensor::new(&[[3f32, 0.], [0., 2.]], &Device::Cpu)?)?;
    ///
    /// let batch = Batch::new(&Tensor::new(&[[4f32, 3.]], &Device::Cpu)?, &[0i64])?;
    /// let terms = loss.terms(&batch, &Tuples::all())?;
    /// // The cosines are 0.8 and 0.6: less the margin, the own class is no better than the other.
    /// let value = terms.get("loss").unwrap().values()?.0.to_vec1::<f32>()?[0];
    /// assert!((value - 2f32.ln()).abs() < 1e-6);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct CosFaceLoss(Subtracted) = |margin| check::finite("margin", margin).map(Subtracted);
}

#[cfg(test)]
mod tests;
