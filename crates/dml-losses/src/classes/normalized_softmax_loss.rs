//! Softmax over the similarities of an embedding with weights of length 1, divided by a temperature.
//!
//! ```text
//! sⱼ = similarity of the embedding and Wⱼ / ‖Wⱼ‖; for distances their negative
//! ℓ = w · −ln( e^{s_y / t} / Σⱼ e^{sⱼ / t} )      y: the own class, t: temperature
//! ```
//!
//! w is how often the tuples name the row, at most 1 ([`Tuples::weights`]).
//!
//! Zhai and Wu, "Classification is a Strong Baseline for Deep Metric Learning", 2018, arXiv:1811.12649.

use std::sync::Arc;

use candle_core::{Tensor, Var};
use candle_nn::VarBuilder;
use dml_core::{Batch, ClassLoss, Distance, Loss, Result, Terms, Tuples, check};

use crate::WeightInit;
use crate::classes::class_softmax::{ClassLogits, Shifted};
use crate::classes::class_weights::{ClassWeights, Classes, Layout};
use crate::machinery::unit_rows::divided_by_norms;

/// Configuration of [`NormalizedSoftmaxLoss`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct NormalizedSoftmaxLossConfig {
    /// Number of classes, 1 to 4,294,967,295.
    pub num_classes: usize,
    /// Columns of the embeddings, 1 to 4,294,967,295; with `num_classes` at most 2³⁴ numbers in all.
    pub embedding_size: usize,
    /// What similarities are divided by; in `[1e-30, 1e30]`. Default `0.05`.
    #[cfg_attr(feature = "serde", serde(default = "default_temperature"))]
    pub temperature: f64,
    /// How the weights begin. Default standard normal.
    #[cfg_attr(feature = "serde", serde(default))]
    pub weight_init_func: Option<WeightInit>,
}

fn default_temperature() -> f64 {
    0.05
}

impl NormalizedSoftmaxLossConfig {
    /// The defaults for so many classes and columns.
    #[must_use]
    pub fn new(num_classes: usize, embedding_size: usize) -> Self {
        Self {
            num_classes,
            embedding_size,
            temperature: default_temperature(),
            weight_init_func: None,
        }
    }
}

/// Softmax over normalised classes ([formula](self)). One term `loss`, per row. Learns `W` `[dim, classes]`.
#[derive(Clone, Debug)]
pub struct NormalizedSoftmaxLoss {
    temperature: f64,
    weights: ClassWeights,
    distance: Arc<dyn Distance>,
}

impl NormalizedSoftmaxLoss {
    /// A loss over any `distance`, whose weights `vars` makes or holds.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for numbers outside of their range,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if `vars` holds a `W` of another shape.
    pub fn new(
        config: NormalizedSoftmaxLossConfig,
        distance: Arc<dyn Distance>,
        vars: VarBuilder<'_>,
    ) -> Result<Self> {
        let classes = Classes {
            component: "NormalizedSoftmaxLoss",
            num_classes: config.num_classes,
            centers: 1,
            dim: config.embedding_size,
        };
        let init = config
            .weight_init_func
            .unwrap_or(WeightInit::STANDARD_NORMAL);
        Ok(Self {
            temperature: check::positive("temperature", config.temperature)?,
            weights: ClassWeights::new(classes, Layout::Columns, "W", &init, &vars)?,
            distance,
        })
    }

    /// Distances or similarities `[rows, classes]`, and the factor that makes logits of them.
    fn matrix(&self, embeddings: &Tensor) -> Result<(Tensor, f64)> {
        let weights = self.weights.rows_for(embeddings)?;
        let unit = if self.distance.kind().is_normalized() {
            // The distance divides by the same norm.
            weights
        } else {
            divided_by_norms(&weights, &self.distance.norms(&weights)?)?
        };
        let matrix = self.distance.matrix(embeddings, Some(&unit))?;
        Ok((matrix, -self.distance.order().sign() / self.temperature))
    }
}

impl Loss for NormalizedSoftmaxLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        if let Some(terms) = batch.spoiled_rows()? {
            return Ok(terms);
        }
        self.weights.terms(batch, |own| {
            let (matrix, factor) = self.matrix(batch.embeddings())?;
            let logits = ClassLogits::new(&matrix, factor);
            logits.term(own, &Shifted(0.0), &tuples.weights(batch)?)
        })
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        self.weights.parameters()
    }

    fn as_class_loss(&self) -> Option<&dyn ClassLoss> {
        Some(self)
    }
}

impl ClassLoss for NormalizedSoftmaxLoss {
    fn logits(&self, embeddings: &Tensor) -> Result<Tensor> {
        let (matrix, factor) = self.matrix(embeddings)?;
        ClassLogits::new(&matrix, factor).all()
    }

    fn class_rows(&self) -> Result<Tensor> {
        self.weights.rows()
    }
}

#[cfg(test)]
mod tests;
