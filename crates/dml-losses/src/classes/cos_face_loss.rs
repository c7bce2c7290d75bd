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

use candle_nn::VarBuilder;
use dml_core::{Distance, Result, check};

use crate::WeightInit;
use crate::classes::class_softmax::Subtracted;
use crate::classes::class_weights::Classes;
use crate::classes::margin_softmax::MarginSoftmaxLoss;
use crate::classes::over_classes::loss_over_classes;

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
    /// Number of columns of the embeddings, 1 to 4,294,967,295; with `num_classes` at most 2³⁴ numbers in all.
    pub embedding_size: usize,
    /// Margin in units of the cosine, in `[-1e30, 1e30]`. Default `0.35`.
    #[cfg_attr(feature = "serde", serde(default = "default_margin"))]
    pub margin: f64,
    /// Factor of the cosines, in `[-1e30, 1e30]`. Default `64`.
    #[cfg_attr(feature = "serde", serde(default = "default_scale"))]
    pub scale: f64,
    /// Initialisation of the weights. Default: standard normal.
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
    /// The default configuration for `num_classes` and `embedding_size`.
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
pub struct CosFaceLoss(MarginSoftmaxLoss<Subtracted>);

impl CosFaceLoss {
    /// A loss over the cosine similarity `distance`, whose weights `vars` makes or holds.
    ///
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) unless the distance is the cosine similarity,
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for numbers outside of their range,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if `vars` holds a `W` of another shape.
    pub fn new(
        config: CosFaceLossConfig,
        distance: impl Distance + 'static,
        vars: VarBuilder<'_>,
    ) -> Result<Self> {
        MarginSoftmaxLoss::over_cosines(
            Classes::new("CosFaceLoss", config.num_classes, config.embedding_size),
            Subtracted(check::finite("margin", config.margin)?),
            config.scale,
            config.weight_init_func,
            distance,
            &vars,
        )
        .map(Self)
    }
}

loss_over_classes!(CosFaceLoss<MarginSoftmaxLoss<Subtracted>>);

#[cfg(test)]
mod tests;
