//! Additive cosine margin: the cosine of an embedding and its class has to be larger by a margin.
//!
//! ```text
//! cos θⱼ = cosine of the embedding and the weight of class j,   y: the own class
//! ℓ = w · −ln( e^{s (cos θ_y − m)} / (e^{s (cos θ_y − m)} + Σ_{j≠y} e^{s cos θⱼ}) )       m: margin, s: scale
//! ```
//!
//! w is how often the tuples name the row, at most 1 ([`Tuples::weights`]).
//!
//! Wang, Wang, Zhou, Ji, Gong, Zhou, Li and Liu, "`CosFace`: Large Margin Cosine Loss for Deep Face Recognition", 2018,
//! arXiv:1801.09414.

use std::sync::Arc;

use candle_core::{Tensor, Var};
use candle_nn::VarBuilder;
use dml_core::{Batch, ClassLoss, Distance, Loss, Result, Terms, Tuples, check};

use crate::WeightInit;
use crate::classes::class_softmax::{ClassLogits, Shifted};
use crate::classes::class_weights::{ClassWeights, Classes, Layout};
use crate::machinery::demands;

/// Configuration of [`CosFaceLoss`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct CosFaceLossConfig {
    /// Number of classes, 1 to 4,294,967,295.
    pub num_classes: usize,
    /// Columns of the embeddings, 1 to 4,294,967,295; with `num_classes` at most 2³⁴ numbers in all.
    pub embedding_size: usize,
    /// The margin, in units of the cosine; in `[-1e30, 1e30]`. Default `0.35`.
    #[cfg_attr(feature = "serde", serde(default = "default_margin"))]
    pub margin: f64,
    /// What cosines are multiplied by; in `[-1e30, 1e30]`. Default `64`.
    #[cfg_attr(feature = "serde", serde(default = "default_scale"))]
    pub scale: f64,
    /// How the weights begin. Default standard normal.
    #[cfg_attr(feature = "serde", serde(default))]
    pub weight_init_func: Option<WeightInit>,
}

fn default_margin() -> f64 {
    0.35
}

fn default_scale() -> f64 {
    64.0
}

impl CosFaceLossConfig {
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

/// Softmax over cosines with a margin ([formula](self)). One term `loss`, per row. Learns `W` `[dim, classes]`.
#[derive(Clone, Debug)]
pub struct CosFaceLoss {
    margin: f64,
    scale: f64,
    weights: ClassWeights,
    distance: Arc<dyn Distance>,
}

impl CosFaceLoss {
    /// A loss over the cosine similarity `distance`, whose weights `vars` makes or holds.
    ///
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) unless the distance is the cosine similarity,
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for numbers outside of their range,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if `vars` holds a `W` of another shape.
    pub fn new(
        config: CosFaceLossConfig,
        distance: Arc<dyn Distance>,
        vars: VarBuilder<'_>,
    ) -> Result<Self> {
        demands::cosine("CosFaceLoss", &distance, demands::MARGIN_OF_AN_ANGLE)?;
        let classes = Classes {
            component: "CosFaceLoss",
            num_classes: config.num_classes,
            centers: 1,
            dim: config.embedding_size,
        };
        let init = config
            .weight_init_func
            .unwrap_or(WeightInit::STANDARD_NORMAL);
        Ok(Self {
            margin: check::finite("margin", config.margin)?,
            scale: check::finite("scale", config.scale)?,
            weights: ClassWeights::new(classes, Layout::Columns, "W", &init, &vars)?,
            distance,
        })
    }

    /// Cosines `[rows, classes]`.
    fn cosines(&self, embeddings: &Tensor) -> Result<Tensor> {
        self.weights.compared(&self.distance, embeddings)
    }
}

impl Loss for CosFaceLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        if let Some(terms) = batch.spoiled_rows()? {
            return Ok(terms);
        }
        self.weights.terms(batch, |own| {
            let cosines = self.cosines(batch.embeddings())?;
            let logits = ClassLogits::new(&cosines, self.scale);
            logits.term(own, &Shifted(self.margin), &tuples.weights(batch)?)
        })
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        self.weights.parameters()
    }

    fn as_class_loss(&self) -> Option<&dyn ClassLoss> {
        Some(self)
    }
}

impl ClassLoss for CosFaceLoss {
    fn logits(&self, embeddings: &Tensor) -> Result<Tensor> {
        ClassLogits::new(&self.cosines(embeddings)?, self.scale).all()
    }

    fn class_rows(&self) -> Result<Tensor> {
        self.weights.rows()
    }
}

#[cfg(test)]
mod tests;
