//! Multiplicative angular margin on dot products: the angle between an embedding and its class counts m times.
//!
//! ```text
//! φ = (−1)ᵏ cos(m θ_y) − 2k,   k = ⌊m θ_y / π⌋: falls from 1 at angle 0 to 1 − 2m at angle π
//! zⱼ = s ‖e‖ ‖Wⱼ‖ cos θⱼ,   for the own class y: s ‖e‖ ‖W_y‖ φ
//! ℓ = w · −ln( e^{z_y} / Σⱼ e^{zⱼ} )
//! ```
//!
//! m: margin, a whole number; what comes after its decimal point is cut off. w is how often the tuples name the row, at
//! most 1 ([`Tuples::weights`]).
//!
//! Liu, Wen, Yu and Yang, "Large-Margin Softmax Loss for Convolutional Neural Networks", 2016, arXiv:1612.02295. The norms
//! are those of the distance, so that with p = 2 the logits of the other classes are dot products.

use std::sync::Arc;

use candle_core::{Tensor, Var};
use candle_nn::VarBuilder;
use dml_core::{Batch, ClassLoss, Distance, Loss, Result, Terms, Tuples, check};

use crate::WeightInit;
use crate::classes::class_softmax::ClassLogits;
use crate::classes::class_weights::{ClassWeights, Classes, Layout};
use crate::classes::multiple_angle::MultipleAngle;
use crate::machinery::demands;

/// Configuration of [`LargeMarginSoftmaxLoss`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct LargeMarginSoftmaxLossConfig {
    /// Number of classes, 1 to 4,294,967,295.
    pub num_classes: usize,
    /// Columns of the embeddings, 1 to 4,294,967,295; with `num_classes` at most 2³⁴ numbers in all.
    pub embedding_size: usize,
    /// How often the angle counts, 1 to 1,000; a fraction is cut off. Default `4`.
    #[cfg_attr(feature = "serde", serde(default = "default_margin"))]
    pub margin: f64,
    /// What logits are multiplied by; in `[-1e30, 1e30]`. Default `1`.
    #[cfg_attr(feature = "serde", serde(default = "default_scale"))]
    pub scale: f64,
    /// How the weights begin. Default standard normal.
    #[cfg_attr(feature = "serde", serde(default))]
    pub weight_init_func: Option<WeightInit>,
}

fn default_margin() -> f64 {
    4.0
}

fn default_scale() -> f64 {
    1.0
}

impl LargeMarginSoftmaxLossConfig {
    /// The defaults for so many classes and columns.
    #[must_use]
    pub fn new(num_classes: usize, embedding_size: usize) -> Self {
        Self {
            num_classes,
            embedding_size,
            margin: default_margin(),
            scale: default_scale(),
            weight_init_func: None,
        }
    }
}

/// Softmax over classes with a multiplied angle ([formula](self)). One term `loss`, per row. Learns `W` `[dim, classes]`.
#[derive(Clone, Debug)]
pub struct LargeMarginSoftmaxLoss {
    margin: MultipleAngle,
    scale: f64,
    weights: ClassWeights,
    distance: Arc<dyn Distance>,
}

impl LargeMarginSoftmaxLoss {
    /// A loss over the cosine similarity `distance`, whose weights `vars` makes or holds.
    ///
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) unless the distance is the cosine similarity,
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for numbers outside of their range,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if `vars` holds a `W` of another shape.
    pub fn new(
        config: LargeMarginSoftmaxLossConfig,
        distance: Arc<dyn Distance>,
        vars: VarBuilder<'_>,
    ) -> Result<Self> {
        demands::cosine(
            "LargeMarginSoftmaxLoss",
            &distance,
            demands::MARGIN_OF_AN_ANGLE,
        )?;
        let classes = Classes {
            component: "LargeMarginSoftmaxLoss",
            num_classes: config.num_classes,
            centers: 1,
            dim: config.embedding_size,
        };
        let init = config
            .weight_init_func
            .unwrap_or(WeightInit::STANDARD_NORMAL);
        Ok(Self {
            margin: MultipleAngle::new(config.margin)?,
            scale: check::finite("scale", config.scale)?,
            weights: ClassWeights::new(classes, Layout::Columns, "W", &init, &vars)?,
            distance,
        })
    }

    /// `f` of the logits.
    fn with_logits<R>(
        &self,
        embeddings: &Tensor,
        f: impl FnOnce(ClassLogits<'_>) -> Result<R>,
    ) -> Result<R> {
        let weights = self.weights.rows_for(embeddings)?;
        let matrix = self.distance.matrix(embeddings, Some(&weights))?; // [rows, classes]
        let rows = self.distance.norms(embeddings)?;
        let classes = self.distance.norms(&weights)?;
        f(ClassLogits {
            matrix: &matrix,
            scale: self.scale,
            rows: Some(&rows),
            classes: Some(&classes),
        })
    }
}

impl Loss for LargeMarginSoftmaxLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        if let Some(terms) = batch.spoiled_rows()? {
            return Ok(terms);
        }
        self.weights.terms(batch, |own| {
            self.with_logits(batch.embeddings(), |logits| {
                logits.term(own, &self.margin, &tuples.weights(batch)?)
            })
        })
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        self.weights.parameters()
    }

    fn as_class_loss(&self) -> Option<&dyn ClassLoss> {
        Some(self)
    }
}

impl ClassLoss for LargeMarginSoftmaxLoss {
    fn logits(&self, embeddings: &Tensor) -> Result<Tensor> {
        self.with_logits(embeddings, |logits| logits.all())
    }

    fn class_rows(&self) -> Result<Tensor> {
        self.weights.rows()
    }
}

#[cfg(test)]
mod tests;
