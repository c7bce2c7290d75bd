//! Proxies as anchors: each proxy draws the rows of its class nearer and pushes all others away, hard ones most.
//!
//! ```text
//! pos_loss(c) = ln(1 + Σ_{i of class c} e^{α (m − s(i,c)) + wᵢ − 1})         divisor: the classes in the batch
//! neg_loss(c) = ln(1 + Σ_{i of others} e^{α (s(i,c) + m) + wᵢ − 1})          divisor: all classes
//! ```
//!
//! for a similarity s; a distance d counts with `d − m` and `−m − d`. m: margin, α: alpha. w is how often the tuples name
//! the row, at most 1 ([`Tuples::weights`]).
//!
//! Kim, Kim, Cho and Kwak, "Proxy Anchor Loss for Deep Metric Learning", 2020, arXiv:2003.13911.
//!
//! The matrix has a row for each class, which is visited once.

use std::sync::Arc;

use candle_core::{Tensor, Var};
use candle_nn::VarBuilder;
use dml_core::autograd::{self, has_kernel, with_slice};
use dml_core::kernels::Real;
use dml_core::kernels::class_log_sums::{Line, class_log_sums, class_log_sums_backward};
use dml_core::{
    Batch, ClassLoss, Distance, DistanceKind, Indices, Loss, Over, Result, TensorExt, Term, Terms,
    Tuples, check, for_element,
};

use crate::WeightInit;
use crate::classes::class_weights::{ClassWeights, Classes, Layout};
use crate::machinery::transposed::transposed;
use crate::weight_init::{Fan, Nonlinearity};

/// Configuration of [`ProxyAnchorLoss`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct ProxyAnchorLossConfig {
    /// Number of classes, 1 to 4,294,967,295.
    pub num_classes: usize,
    /// Columns of the embeddings, 1 to 4,294,967,295; with `num_classes` at most 2³⁴ numbers in all.
    pub embedding_size: usize,
    /// The margin, in units of the distance; in `[-1e30, 1e30]`. Default `0.1`.
    #[cfg_attr(feature = "serde", serde(default = "default_margin"))]
    pub margin: f64,
    /// What exponents are multiplied by; in `[-1e30, 1e30]`. Default `32`.
    #[cfg_attr(feature = "serde", serde(default = "default_alpha"))]
    pub alpha: f64,
    /// How the proxies begin. Default normal with standard deviation `√(2 / num_classes)`.
    #[cfg_attr(feature = "serde", serde(default))]
    pub weight_init_func: Option<WeightInit>,
}

impl ProxyAnchorLossConfig {
    /// The defaults for so many classes and columns.
    #[must_use]
    pub fn new(num_classes: usize, embedding_size: usize) -> Self {
        Self {
            num_classes,
            embedding_size,
            margin: default_margin(),
            alpha: default_alpha(),
            weight_init_func: None,
        }
    }
}

fn default_margin() -> f64 {
    0.1
}

fn default_alpha() -> f64 {
    32.0
}

/// Soft hinges around proxies ([formula](self)). Terms `pos_loss` and `neg_loss`, per class. Learns `proxies`
/// `[classes, dim]`.
#[derive(Clone, Debug)]
pub struct ProxyAnchorLoss {
    margin: f64,
    alpha: f64,
    weights: ClassWeights,
    distance: Arc<dyn Distance>,
}

impl ProxyAnchorLoss {
    /// A loss over any `distance`, whose proxies `vars` makes or holds.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for numbers outside of their range,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if `vars` holds `proxies` of another shape.
    pub fn new(
        config: ProxyAnchorLossConfig,
        distance: Arc<dyn Distance>,
        vars: VarBuilder<'_>,
    ) -> Result<Self> {
        let classes = Classes {
            component: "ProxyAnchorLoss",
            num_classes: config.num_classes,
            centers: 1,
            dim: config.embedding_size,
        };
        let init = config
            .weight_init_func
            .unwrap_or(WeightInit::KaimingNormal {
                a: 0.0,
                mode: Fan::FanOut,
                nonlinearity: Nonlinearity::LeakyRelu,
            });
        Ok(Self {
            margin: check::finite("margin", config.margin)?,
            alpha: check::finite("alpha", config.alpha)?,
            weights: ClassWeights::new(classes, Layout::Rows, "proxies", &init, &vars)?,
            distance,
        })
    }

    /// Distances or similarities `[classes, rows]`.
    fn by_class(&self, embeddings: &Tensor) -> Result<Tensor> {
        let proxies = self.weights.rows_for(embeddings)?;
        match self.distance.kind() {
            // The same from both sides.
            DistanceKind::Cosine | DistanceKind::DotProduct | DistanceKind::Lp { .. } => {
                self.distance.matrix(&proxies, Some(embeddings))
            }
            _ => transposed(&self.distance.matrix(embeddings, Some(&proxies))?),
        }
    }

    /// The exponents of own rows and of others, as lines of the distance.
    fn lines(&self) -> [Line<f64>; 2] {
        let slope = self.alpha * self.distance.order().sign();
        let offset = -slope * self.margin;
        [slope, -slope].map(|slope| Line { slope, offset })
    }

    /// Both sums of every class: `[2 · classes]`.
    fn sums(&self, matrix: &Tensor, own: &[u32], weights: &[f64]) -> Result<Tensor> {
        if has_kernel(matrix) {
            return self.fused_sums(matrix, own, weights);
        }
        let device = matrix.device();
        let weights = Tensor::new(weights, device)?.to_dtype(matrix.dtype())?; // [rows]
        let labels = Tensor::new(own, device)?; // [rows]
        let classes = Tensor::arange(0, matrix.dims()[0] as u32, device)?.unsqueeze(1)?;
        let is_own = classes.broadcast_eq(&labels.unsqueeze(0)?)?;
        let sum = |line: Line<f64>, keep: &Tensor| {
            let exponents = ((matrix * line.slope)? + line.offset)?;
            let exponents = exponents.broadcast_add(&weights)?;
            exponents.masked_logsumexp(Some(keep), true)
        };
        let [near, far] = self.lines();
        let sums = [sum(near, &is_own)?, sum(far, &is_own.eq(0u8)?)?];
        Ok(Tensor::cat(&sums, 0)?)
    }

    fn fused_sums(&self, matrix: &Tensor, own: &[u32], weights: &[f64]) -> Result<Tensor> {
        let (classes, rows) = matrix.dims2()?;
        let mut members = vec![Vec::new(); classes];
        for (row, class) in own.iter().enumerate() {
            members[*class as usize].push(row as u32);
        }
        for_element!(matrix, "matrix", |T| {
            let real = <T as Real>::from_f64;
            let weights: Vec<T> = weights.iter().map(|w| real(*w)).collect();
            let [near, far] = self.lines().map(|line| Line {
                slope: real(line.slope),
                offset: real(line.offset),
            });
            let sums = with_slice(matrix, |x: &[T]| {
                class_log_sums(x, rows, &members, &weights, near, far)
            })?;
            let slopes = sums.slopes;
            autograd::unary(
                "proxy_anchor",
                matrix,
                sums.values,
                2 * classes,
                move |matrix, _, gradient| {
                    let result = with_slice(gradient, |gradient: &[T]| {
                        class_log_sums_backward(&slopes, rows, &members, gradient)
                    })?;
                    Ok(Tensor::from_vec(result, matrix.shape(), matrix.device())?)
                },
            )
        })
    }
}

impl Loss for ProxyAnchorLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        if let Some(terms) = batch.spoiled_rows()? {
            return Ok(terms);
        }
        let own = self.weights.own_classes(batch)?;
        if own.is_empty() {
            return Ok(["pos_loss", "neg_loss"]
                .map(Term::empty)
                .into_iter()
                .collect());
        }
        let weights: Vec<f64> = tuples.weights(batch)?.iter().map(|w| w - 1.0).collect();
        let sums = self.sums(&self.by_class(batch.embeddings())?, &own, &weights)?;
        let classes = self.weights.num_classes();
        let mut present = vec![false; classes];
        own.iter().for_each(|class| present[*class as usize] = true);
        let present = present.iter().filter(|is| **is).count();
        let term = |name, first, divisor: usize| {
            let values = sums.narrow(0, first, classes)?;
            let indices = Indices::Elements((0..classes as u32).collect());
            let term = Term::explicit(name, Over::Elements, values, indices)?;
            Ok(term.with_divisor(divisor as f64))
        };
        [
            term("pos_loss", 0, present),
            term("neg_loss", classes, classes),
        ]
        .into_iter()
        .collect()
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        self.weights.parameters()
    }

    fn as_class_loss(&self) -> Option<&dyn ClassLoss> {
        Some(self)
    }
}

impl ClassLoss for ProxyAnchorLoss {
    fn logits(&self, embeddings: &Tensor) -> Result<Tensor> {
        self.weights.compared(&self.distance, embeddings)
    }

    fn class_rows(&self) -> Result<Tensor> {
        self.weights.rows()
    }
}

#[cfg(test)]
mod tests;
