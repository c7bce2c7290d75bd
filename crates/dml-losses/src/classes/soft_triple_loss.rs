//! Softmax over classes that have several centres each: a class is as near as the softmax mean of its centres.
//!
//! ```text
//! S_c = Σₖ softmaxₖ(s(i,ck) / γ) s(i,ck)                      s: similarity of the embedding and centre k of class c
//! ℓ = w · −ln( e^{λ (S_y − m)} / (e^{λ (S_y − m)} + Σ_{c≠y} e^{λ S_c}) )
//! ```
//!
//! y: the own class, λ: `la`, m: margin. w is how often the tuples name the row, at most 1 ([`Tuples::weights`](dml_core::Tuples::weights)).
//!
//! Qian, Shang, Sun, Hu, Li and Jin, "`SoftTriple` Loss: Deep Metric Learning Without Triplet Sampling", 2019,
//! arXiv:1909.05235. The paper's regularizer of centres is `SparseCentersRegularizer`. γ divides, as in PyTorch Metric
//! Learning.

use std::sync::Arc;

use candle_core::Tensor;
use candle_nn::VarBuilder;
use dml_core::{Distance, Order, Result, check};

use crate::WeightInit;
use crate::classes::class_softmax::{ClassLogits, Margin, Subtracted};
use crate::classes::class_weights::{ClassWeights, Classes, Layout};
use crate::classes::margin_softmax::{MarginSoftmax, MarginSoftmaxLoss};
use crate::classes::over_classes::loss_over_classes;
use crate::machinery::expression::Expression;
use crate::machinery::softmax_mean_of_groups::softmax_mean_of_groups;
use crate::weight_init::{Fan, Nonlinearity};

dml_core::config! {
    /// Configuration of [`SoftTripleLoss`].
    pub struct SoftTripleLossConfig {
        /// Number of classes, 1 to 4,294,967,295.
        pub num_classes: usize,
        /// Number of columns of the embeddings, 1 to 4,294,967,295; with `num_classes` at most 2³⁴ numbers in all.
        pub embedding_size: usize;
        /// Number of centres of each class, 1 to 4,294,967,295. Default `10`.
        pub centers_per_class: usize = 10,
        /// λ: factor of the similarities to classes, in `[-1e30, 1e30]`. Default `20`.
        pub la: f64 = 20.0,
        /// γ: temperature of the softmax over the centres of a class, in `[1e-30, 1e30]`. Default `0.1`.
        pub gamma: f64 = 0.1,
        /// Margin in units of the similarity, in `[-1e30, 1e30]`. Default `0.01`.
        pub margin: f64 = 0.01,
        /// Initialisation of the centres. Default: uniform with bound `1 / √(num_classes · centers_per_class)`.
        pub weight_init_func: Option<WeightInit> = None,
    }
}

/// Softmax over softly chosen centres ([formula](self)). One term `loss`, per row. Learns `fc` `[dim, classes · centres]`, in
/// which the centres of a class stand side by side.
///
/// ```
/// use dml_core::candle_core::{DType, Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::CosineSimilarity;
/// use dml_losses::{SeededVars, SoftTripleLoss, SoftTripleLossConfig};
///
/// let vars = SeededVars::new(0).builder(DType::F32, &Device::Cpu);
/// let config = SoftTripleLossConfig {
///     centers_per_class: 2,
///     la: 3.0,
///     margin: 0.1,
///     ..SoftTripleLossConfig::new(2, 2)
/// };
/// let loss = SoftTripleLoss::new(config, CosineSimilarity::default(), vars)?;
/// let (_, weights) = &loss.parameters()[0];
/// weights.set(&Tensor::new(&[[1f32, 1., 0., 0.], [0., 0., 1., 1.]], &Device::Cpu)?)?;
///
/// let batch = Batch::new(&Tensor::new(&[[0.6f32, 0.8]], &Device::Cpu)?, &[1i64])?;
/// let terms = loss.terms(&batch, &Tuples::all())?;
/// // Both centres of a class are alike: similarities 0.6 and 0.8.
/// let value = terms.get("loss").unwrap().values()?.0.to_vec1::<f32>()?[0];
/// assert!((value - (3f32 * (0.6 - (0.8 - 0.1))).exp().ln_1p()).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SoftTripleLoss(MarginSoftmaxLoss<SoftCenters>);

impl SoftTripleLoss {
    /// A loss over the similarity `distance`, whose centres `vars` makes or holds.
    ///
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) for a distance that is no similarity,
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for numbers outside of their range,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if `vars` holds an `fc` of another shape.
    pub fn new(
        config: SoftTripleLossConfig,
        distance: impl Distance + 'static,
        vars: VarBuilder<'_>,
    ) -> Result<Self> {
        let reason = "it needs a similarity, of which larger means closer";
        let fits = distance.order() == Order::LargerIsCloser;
        check::supported(fits, "SoftTripleLoss", reason)?;
        let centers = check::at_least_one("centers_per_class", config.centers_per_class)?;
        let classes = Classes {
            centers,
            ..Classes::new("SoftTripleLoss", config.num_classes, config.embedding_size)
        };
        let init = config
            .weight_init_func
            .unwrap_or(WeightInit::KaimingUniform {
                a: 5f64.sqrt(),
                mode: Fan::FanIn,
                nonlinearity: Nonlinearity::LeakyRelu,
            });
        Ok(Self(MarginSoftmaxLoss {
            margin: SoftCenters {
                margin: Subtracted(check::finite("margin", config.margin)?),
                centers,
                gamma: check::positive("gamma", config.gamma)?,
            },
            scale: check::finite("la", config.la)?,
            weights: ClassWeights::new(classes, Layout::Columns, "fc", Some(init), &vars)?,
            distance: Arc::new(distance),
        }))
    }
}

loss_over_classes!(SoftTripleLoss<MarginSoftmaxLoss<SoftCenters>>);

/// A margin on the softmax mean of the similarities to the centres of a class.
#[derive(Clone, Copy, Debug)]
struct SoftCenters {
    margin: Subtracted,
    centers: usize,
    gamma: f64,
}

impl Margin for SoftCenters {
    #[inline(always)]
    fn own<E: Expression>(&self, x: E) -> E {
        self.margin.own(x)
    }
}

impl MarginSoftmax for SoftCenters {
    fn logits(loss: &MarginSoftmaxLoss<Self>, embeddings: &Tensor) -> Result<ClassLogits> {
        let SoftCenters { centers, gamma, .. } = loss.margin;
        let similarities = loss.weights.compared(&loss.distance, embeddings)?; // [rows, classes · centres]
        let means = softmax_mean_of_groups(&similarities, centers, gamma)?;
        Ok(ClassLogits::new(means, loss.scale))
    }

    fn scores(logits: &ClassLogits) -> Result<Tensor> {
        Ok(logits.matrix.clone())
    }
}

#[cfg(test)]
mod tests;
