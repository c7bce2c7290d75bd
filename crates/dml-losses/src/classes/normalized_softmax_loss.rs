//! Softmax over the similarities of an embedding with weights of length 1, divided by a temperature.
//!
//! ```text
//! sⱼ = similarity of the embedding and Wⱼ / ‖Wⱼ‖; for distances their negative
//! ℓ = w · −ln( e^{s_y / t} / Σⱼ e^{sⱼ / t} )      y: the own class, t: temperature
//! ```
//!
//! w is how often the tuples name the row, at most 1 ([`Tuples::weights`](dml_core::Tuples::weights)).
//!
//! Zhai and Wu, "Classification is a Strong Baseline for Deep Metric Learning", 2018, arXiv:1811.12649.

use std::sync::Arc;

use candle_core::Tensor;
use candle_nn::VarBuilder;
use dml_core::{Distance, Result, check};

use crate::WeightInit;
use crate::classes::class_softmax::{ClassLogits, Margin};
use crate::classes::class_weights::{ClassWeights, Classes, Layout};
use crate::classes::margin_softmax::{MarginSoftmax, MarginSoftmaxLoss};
use crate::classes::over_classes::loss_over_classes;
use crate::machinery::unit_rows::divided_by_norms;

dml_core::config! {
    /// Configuration of [`NormalizedSoftmaxLoss`].
    pub struct NormalizedSoftmaxLossConfig {
        /// Number of classes, 1 to 4,294,967,295.
        pub num_classes: usize,
        /// Number of columns of the embeddings, 1 to 4,294,967,295; with `num_classes` at most 2³⁴ numbers in all.
        pub embedding_size: usize;
        /// Divisor of the similarities, in `[1e-30, 1e30]`. Default `0.05`.
        pub temperature: f64 = 0.05,
        /// Initialisation of the weights. Default: standard normal.
        pub weight_init_func: Option<WeightInit> = None,
    }
}

/// Softmax over normalised classes ([formula](self)). One term `loss`, per row. Learns `W` `[dim, classes]`.
///
/// ```
/// use dml_core::candle_core::{DType, Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::DotProductSimilarity;
/// use dml_losses::{NormalizedSoftmaxLoss, NormalizedSoftmaxLossConfig, SeededVars};
///
/// let vars = SeededVars::new(0).builder(DType::F32, &Device::Cpu);
/// let config = NormalizedSoftmaxLossConfig { temperature: 0.1, ..NormalizedSoftmaxLossConfig::new(2, 2) };
/// let loss = NormalizedSoftmaxLoss::new(config, DotProductSimilarity::default(), vars)?;
/// let (_, weights) = &loss.parameters()[0];
/// weights.set(&Tensor::new(&[[2f32, 0.], [0., 3.]], &Device::Cpu)?)?;
///
/// let batch = Batch::new(&Tensor::new(&[[4f32, 3.]], &Device::Cpu)?, &[0i64])?;
/// let terms = loss.terms(&batch, &Tuples::all())?;
/// // Cosines 0.8 and 0.6, divided by the temperature.
/// let value = terms.get("loss").unwrap().values()?.0.to_vec1::<f32>()?[0];
/// assert!((value - (6f32 - 8.0).exp().ln_1p()).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NormalizedSoftmaxLoss(MarginSoftmaxLoss<UnitClasses>);

impl NormalizedSoftmaxLoss {
    /// A loss over any `distance`, whose weights `vars` makes or holds.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for numbers outside of their range,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if `vars` holds a `W` of another shape.
    pub fn new(
        config: NormalizedSoftmaxLossConfig,
        distance: impl Distance + 'static,
        vars: VarBuilder<'_>,
    ) -> Result<Self> {
        let classes = Classes::new(
            "NormalizedSoftmaxLoss",
            config.num_classes,
            config.embedding_size,
        );
        let temperature = check::positive("temperature", config.temperature)?;
        let init = config.weight_init_func;
        Ok(Self(MarginSoftmaxLoss {
            margin: UnitClasses,
            scale: -distance.order().sign() / temperature,
            weights: ClassWeights::new(classes, Layout::Columns, "W", init, &vars)?,
            distance: Arc::new(distance),
        }))
    }
}

loss_over_classes!(NormalizedSoftmaxLoss<MarginSoftmaxLoss<UnitClasses>>);

/// No margin, and classes of length 1.
#[derive(Clone, Copy, Debug)]
struct UnitClasses;

impl Margin for UnitClasses {}

impl MarginSoftmax for UnitClasses {
    fn logits(loss: &MarginSoftmaxLoss<Self>, embeddings: &Tensor) -> Result<ClassLogits> {
        let distance = &loss.distance;
        let weights = loss.weights.rows_for(embeddings)?;
        let unit = if distance.kind().is_normalized() {
            // The distance divides by the same norm.
            weights
        } else {
            divided_by_norms(&weights, &distance.norms(&weights)?)?
        };
        let matrix = distance.matrix(embeddings, Some(&unit))?;
        Ok(ClassLogits::new(matrix, loss.scale))
    }
}

#[cfg(test)]
mod tests;
