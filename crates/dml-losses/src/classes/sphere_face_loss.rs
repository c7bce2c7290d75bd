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
use candle_nn::VarBuilder;
use dml_core::{Distance, Result, TensorExt};

use crate::WeightInit;
use crate::classes::class_softmax::{ClassLogits, Margin};
use crate::classes::class_weights::Classes;
use crate::classes::margin_softmax::{MarginSoftmax, MarginSoftmaxLoss};
use crate::classes::multiple_angle::MultipleAngle;
use crate::classes::over_classes::loss_over_classes;
use crate::machinery::expression::Expression;

/// Configuration of [`SphereFaceLoss`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct SphereFaceLossConfig {
    /// Number of classes, 1 to 4,294,967,295.
    pub num_classes: usize,
    /// Number of columns of the embeddings, 1 to 4,294,967,295; with `num_classes` at most 2³⁴ numbers in all.
    pub embedding_size: usize,
    /// Factor of the angle, 1 to 1,000, rounded down. Default `4`.
    #[cfg_attr(feature = "serde", serde(default = "default_margin"))]
    pub margin: f64,
    /// Factor of the logits, in `[-1e30, 1e30]`. Default `1`.
    #[cfg_attr(feature = "serde", serde(default = "default_scale"))]
    pub scale: f64,
    /// Initialisation of the weights. Default: standard normal.
    #[cfg_attr(feature = "serde", serde(default))]
    pub weight_init_func: Option<WeightInit>,
}

fn default_margin() -> f64 {
    4.0
}

fn default_scale() -> f64 {
    1.0
}

impl SphereFaceLossConfig {
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
#[derive(Clone, Debug)]
pub struct SphereFaceLoss(MarginSoftmaxLoss<AngleOfRows>);

impl SphereFaceLoss {
    /// A loss over the cosine similarity `distance`, whose weights `vars` makes or holds.
    ///
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) unless the distance is the cosine similarity,
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for numbers outside of their range,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if `vars` holds a `W` of another shape.
    pub fn new(
        config: SphereFaceLossConfig,
        distance: impl Distance + 'static,
        vars: VarBuilder<'_>,
    ) -> Result<Self> {
        MarginSoftmaxLoss::over_cosines(
            Classes::new("SphereFaceLoss", config.num_classes, config.embedding_size),
            AngleOfRows(MultipleAngle::new(config.margin)?),
            config.scale,
            config.weight_init_func,
            distance,
            &vars,
        )
        .map(Self)
    }
}

loss_over_classes!(SphereFaceLoss<MarginSoftmaxLoss<AngleOfRows>>);

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
