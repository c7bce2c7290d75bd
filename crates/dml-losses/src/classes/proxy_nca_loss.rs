//! NCA against one learned proxy for each class instead of against the other rows.
//!
//! ```text
//! sⱼ = similarity of the embedding and proxy j; for distances their negative
//! ℓ = w · −ln( e^{k s_y} / Σⱼ e^{k sⱼ} )          y: the own class, k: softmax_scale
//! ```
//!
//! w is how often the tuples name the row as an anchor, at most 1 ([`Tuples::anchor_weights`]).
//!
//! Movshovitz-Attias, Toshev, Leung, Ioffe and Singh, "No Fuss Distance Metric Learning using Proxies", 2017,
//! arXiv:1703.07464; as in PyTorch Metric Learning, the own proxy is in the sum.
//!
//! The quotient is taken in logarithms, so that a row however far from its proxy has a finite loss. A label without a
//! proxy is an error. (PyTorch Metric Learning leaves both kinds of rows out without a word.)

use std::sync::Arc;

use candle_core::Tensor;
use candle_nn::VarBuilder;
use dml_core::{Batch, Distance, Result, Tuples, check};

use crate::WeightInit;
use crate::classes::class_softmax::{ClassLogits, Margin};
use crate::classes::class_weights::{ClassWeights, Classes, Layout};
use crate::classes::margin_softmax::{MarginSoftmax, MarginSoftmaxLoss};
use crate::classes::over_classes::loss_over_classes;

dml_core::config! {
    /// Configuration of [`ProxyNCALoss`].
    pub struct ProxyNCALossConfig {
        /// Number of classes, 1 to 4,294,967,295.
        pub num_classes: usize,
        /// Number of columns of the embeddings, 1 to 4,294,967,295; with `num_classes` at most 2³⁴ numbers in all.
        pub embedding_size: usize;
        /// Factor of the similarities, in `[-1e30, 1e30]`. Default `1`.
        pub softmax_scale: f64 = 1.0,
        /// Initialisation of the proxies. Default: standard normal.
        pub weight_init_func: Option<WeightInit> = None,
    }
}

/// Cross entropy of picking the own proxy ([formula](self)). One term `loss`, per row. Learns `proxies` `[classes, dim]`.
///
/// ```
/// use dml_core::candle_core::{DType, Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::LpDistance;
/// use dml_losses::{ProxyNCALoss, ProxyNCALossConfig, SeededVars};
///
/// let vars = SeededVars::new(0).builder(DType::F32, &Device::Cpu);
/// let config = ProxyNCALossConfig::new(2, 1);
/// let loss = ProxyNCALoss::new(config, LpDistance::unnormalized(), vars)?;
/// let (_, weights) = &loss.parameters()[0];
/// weights.set(&Tensor::new(&[[0f32], [3.]], &Device::Cpu)?)?;
///
/// let batch = Batch::new(&Tensor::new(&[[1f32]], &Device::Cpu)?, &[0i64])?;
/// let terms = loss.terms(&batch, &Tuples::all())?;
/// // Distances 1 to the own proxy and 2 to the other.
/// let value = terms.get("loss").unwrap().values()?.0.to_vec1::<f32>()?[0];
/// assert!((value - (1f32 - 2.0).exp().ln_1p()).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProxyNCALoss(MarginSoftmaxLoss<OwnProxy>);

impl ProxyNCALoss {
    /// A loss over any `distance`, whose proxies `vars` makes or holds.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for numbers outside of their range,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if `vars` holds `proxies` of another shape.
    pub fn new(
        config: ProxyNCALossConfig,
        distance: impl Distance + 'static,
        vars: VarBuilder<'_>,
    ) -> Result<Self> {
        let classes = Classes::new("ProxyNCALoss", config.num_classes, config.embedding_size);
        let softmax_scale = check::finite("softmax_scale", config.softmax_scale)?;
        let init = config.weight_init_func;
        Ok(Self(MarginSoftmaxLoss {
            margin: OwnProxy,
            scale: -distance.order().sign() * softmax_scale,
            weights: ClassWeights::new(classes, Layout::Rows, "proxies", init, &vars)?,
            distance: Arc::new(distance),
        }))
    }
}

loss_over_classes!(ProxyNCALoss<MarginSoftmaxLoss<OwnProxy>>);

/// No margin; rows count as anchors, and the distances themselves are the logits for others.
#[derive(Clone, Copy, Debug)]
struct OwnProxy;

impl Margin for OwnProxy {}

impl MarginSoftmax for OwnProxy {
    fn scores(logits: &ClassLogits) -> Result<Tensor> {
        Ok(logits.matrix.clone())
    }

    fn row_weights(tuples: &Tuples, batch: &Batch) -> Result<Vec<f64>> {
        tuples.anchor_weights(batch)
    }
}

#[cfg(test)]
mod tests;
