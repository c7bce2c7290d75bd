//! Additive angular margin: the angle between an embedding and its class has to be smaller by a margin.
//!
//! ```text
//! cos θⱼ = cosine of the embedding and the weight of class j,   y: the own class
//! φ = cos(θ_y + m) = cos θ_y cos m − sin θ_y sin m              where θ_y ≤ π − m
//! φ = cos θ_y − m sin m                                         beyond, so that it goes on falling
//! ℓ = w · −ln( e^{s φ} / (e^{s φ} + Σ_{j≠y} e^{s cos θⱼ}) )     m: margin, s: scale
//! ```
//!
//! w is how often the tuples name the row, at most 1 ([`Tuples::weights`]).
//!
//! Deng, Guo, Xue, Yang, Kotsia and Zafeiriou, "`ArcFace`: Additive Angular Margin Loss for Deep Face Recognition", 2018,
//! arXiv:1801.07698.
//!
//! Beyond ±1, where rounding or a norm with p ≠ 2 may lead, a cosine has the angle of the nearer bound: φ is a constant
//! there, with slope 0, and so it is at the bounds themselves, where the angle has no slope. The sine comes from the
//! cosine without going through the angle. The cost is that of the matrix products of embeddings with weights,
//! `O(rows · classes · dim)`.

use std::f64::consts::PI;
use std::sync::Arc;

use candle_core::{Tensor, Var};
use candle_nn::VarBuilder;
use dml_core::{Batch, ClassLoss, Distance, Loss, Result, Terms, Tuples, check};

use crate::WeightInit;
use crate::classes::class_softmax::{ClassLogits, OwnMargin};
use crate::classes::class_weights::{ClassWeights, Classes, Layout};
use crate::machinery::demands;

/// Configuration of [`ArcFaceLoss`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct ArcFaceLossConfig {
    /// Number of classes, 1 to 4,294,967,295.
    pub num_classes: usize,
    /// Columns of the embeddings, 1 to 4,294,967,295; with `num_classes` at most 2³⁴ numbers in all.
    pub embedding_size: usize,
    /// The margin in degrees; finite. Default `28.6`.
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
    28.6
}

fn default_scale() -> f64 {
    64.0
}

impl ArcFaceLossConfig {
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

/// Softmax over cosines with an angular margin ([formula](self)). One term `loss`, per row. Learns `W` `[dim, classes]`.
///
/// ```
/// use std::sync::Arc;
/// use dml_core::candle_core::{DType, Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::CosineSimilarity;
/// use dml_losses::{ArcFaceLoss, ArcFaceLossConfig, SeededVars};
///
/// let vars = SeededVars::new(0);
/// let config = ArcFaceLossConfig { margin: 60.0, scale: 1.0, ..ArcFaceLossConfig::new(2, 2) };
/// let builder = vars.builder(DType::F32, &Device::Cpu);
/// let loss = ArcFaceLoss::new(config, Arc::new(CosineSimilarity::default()), builder)?;
/// let (_, weight) = &loss.parameters()[0];
/// weight.set(&Tensor::new(&[[1f32, 0.], [0., 1.]], &Device::Cpu)?)?;
///
/// let embeddings = Tensor::new(&[[2f32, 0.]], &Device::Cpu)?;
/// let terms = loss.terms(&Batch::new(&embeddings, &[0i64])?, &Tuples::all())?;
/// // The angle to the own class is 0, so its cosine counts as cos 60° = ½, and that of the other is 0.
/// let value = terms.get("loss").unwrap().values()?.0.to_vec1::<f32>()?[0];
/// assert!((value - (1.0 + (-0.5f32).exp()).ln()).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ArcFaceLoss {
    margin: Angle,
    scale: f64,
    weights: ClassWeights,
    distance: Arc<dyn Distance>,
}

impl ArcFaceLoss {
    /// A loss over the cosine similarity `distance`, whose weights `vars` makes or holds.
    ///
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) unless the distance is the cosine similarity,
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for numbers outside of their range,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if `vars` holds a `W` of another shape.
    pub fn new(
        config: ArcFaceLossConfig,
        distance: Arc<dyn Distance>,
        vars: VarBuilder<'_>,
    ) -> Result<Self> {
        demands::cosine("ArcFaceLoss", &distance, demands::MARGIN_OF_AN_ANGLE)?;
        let classes = Classes {
            component: "ArcFaceLoss",
            num_classes: config.num_classes,
            centers: 1,
            dim: config.embedding_size,
        };
        let init = config
            .weight_init_func
            .unwrap_or(WeightInit::STANDARD_NORMAL);
        Ok(Self {
            margin: Angle::degrees(config.margin)?,
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

impl Loss for ArcFaceLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        if let Some(terms) = batch.spoiled_rows()? {
            return Ok(terms);
        }
        self.weights.terms(batch, |own| {
            let cosines = self.cosines(batch.embeddings())?;
            let logits = ClassLogits::new(&cosines, self.scale);
            logits.term(own, &self.margin, &tuples.weights(batch)?)
        })
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        self.weights.parameters()
    }

    fn as_class_loss(&self) -> Option<&dyn ClassLoss> {
        Some(self)
    }
}

impl ClassLoss for ArcFaceLoss {
    fn logits(&self, embeddings: &Tensor) -> Result<Tensor> {
        ClassLogits::new(&self.cosines(embeddings)?, self.scale).all()
    }

    fn class_rows(&self) -> Result<Tensor> {
        self.weights.rows()
    }
}

/// A margin added to an angle whose cosine is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Angle {
    sin: f64,
    cos: f64,
    /// What the cosine loses where the angle is too wide to add the margin.
    loss_beyond: f64,
    /// The smallest cosine that the margin is added to.
    lowest: f64,
}

impl Angle {
    pub(crate) fn degrees(margin: f64) -> Result<Self> {
        let margin = check::finite("margin", margin)?.to_radians();
        Ok(Self {
            sin: margin.sin(),
            cos: margin.cos(),
            loss_beyond: margin * margin.sin(),
            lowest: if margin > PI {
                f64::INFINITY
            } else if margin <= 0.0 {
                f64::NEG_INFINITY
            } else {
                -margin.cos()
            },
        })
    }
}

impl OwnMargin for Angle {
    fn at(&self, x: f64) -> (f64, f64) {
        let cosine = x.clamp(-1.0, 1.0);
        let is_inside = x.abs() < 1.0;
        if cosine < self.lowest {
            let slope = if is_inside { 1.0 } else { 0.0 };
            return (cosine - self.loss_beyond, slope);
        }
        if is_inside {
            let sin = (1.0 - x * x).sqrt();
            (x * self.cos - sin * self.sin, self.cos + x / sin * self.sin)
        } else {
            // Also where it is NaN, which the slope has to show, too.
            (cosine * self.cos, if x.is_nan() { x } else { 0.0 })
        }
    }

    fn of(&self, x: &Tensor) -> Result<Tensor> {
        // Beyond the bounds a constant takes the place of the cosine; NaN is on neither side.
        let is_outside = x.abs()?.ge(1.0)?;
        let x = is_outside.where_cond(&x.detach().clamp(-1.0, 1.0)?, x)?;
        let square = (x.sqr()?.neg()? + 1.0)?;
        // Near the bounds rounding may leave nothing under the root, which has no slope there.
        let has_root = square.gt(0.0)?;
        let sin = has_root.where_cond(&square, &square.ones_like()?)?.sqrt()?;
        let sin = has_root.where_cond(&sin, &sin.zeros_like()?)?;
        let added = ((&x * self.cos)? - (sin * self.sin)?)?;
        if self.lowest.is_infinite() {
            return Ok(if self.lowest > 0.0 {
                (x - self.loss_beyond)?
            } else {
                added
            });
        }
        Ok(x.lt(self.lowest)?
            .where_cond(&(&x - self.loss_beyond)?, &added)?)
    }
}

#[cfg(test)]
mod tests;
