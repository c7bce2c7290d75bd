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
