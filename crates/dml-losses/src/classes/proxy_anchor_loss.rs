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

use std::collections::HashSet;
use std::sync::Arc;

use candle_core::Tensor;
use candle_nn::VarBuilder;
use dml_core::autograd::{self, Element, has_kernel};
use dml_core::kernels::Real;
use dml_core::kernels::softmax::softmax_in_place;
use dml_core::{
    Batch, Distance, DistanceKind, Indices, Over, Result, TensorExt, Term, Terms, Tuples, check,
    for_element,
};

use crate::WeightInit;
use crate::classes::class_weights::{ClassWeights, Classes, Layout};
use crate::classes::over_classes::{OverClasses, loss_over_classes};
use crate::machinery::expression::{Composite, Dual, Expression};
use crate::machinery::transposed::transposed;
use crate::weight_init::{Fan, Nonlinearity};

dml_core::config! {
    /// Configuration of [`ProxyAnchorLoss`].
    pub struct ProxyAnchorLossConfig {
        /// Number of classes, 1 to 4,294,967,295.
        pub num_classes: usize,
        /// Number of columns of the embeddings, 1 to 4,294,967,295; with `num_classes` at most 2³⁴ numbers in all.
        pub embedding_size: usize;
        /// Margin in units of the distance, in `[-1e30, 1e30]`. Default `0.1`.
        pub margin: f64 = 0.1,
        /// Factor of the exponents, in `[-1e30, 1e30]`. Default `32`.
        pub alpha: f64 = 32.0,
        /// Initialisation of the proxies. Default: normal with standard deviation `√(2 / num_classes)`.
        pub weight_init_func: Option<WeightInit> = None,
    }
}

/// Soft hinges around proxies ([formula](self)). Terms `pos_loss` and `neg_loss`, per class. Learns `proxies`
/// `[classes, dim]`.
///
/// ```
/// use dml_core::candle_core::{DType, Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::LpDistance;
/// use dml_losses::{ProxyAnchorLoss, ProxyAnchorLossConfig, SeededVars};
///
/// let vars = SeededVars::new(0).builder(DType::F32, &Device::Cpu);
/// let config = ProxyAnchorLossConfig { margin: 0.5, alpha: 2.0, ..ProxyAnchorLossConfig::new(2, 1) };
/// let loss = ProxyAnchorLoss::new(config, LpDistance::unnormalized(), vars)?;
/// let (_, weights) = &loss.parameters()[0];
/// weights.set(&Tensor::new(&[[0f32], [3.]], &Device::Cpu)?)?;
///
/// let batch = Batch::new(&Tensor::new(&[[1f32]], &Device::Cpu)?, &[0i64])?;
/// let terms = loss.terms(&batch, &Tuples::all())?;
/// // The only row is 1 from the proxy of its class and 2 from the other.
/// let values = |term: &str| terms.get(term).unwrap().values()?.0.to_vec1::<f32>();
/// assert!((values("pos_loss")?[0] - (2f32 * (1.0 - 0.5)).exp().ln_1p()).abs() < 1e-6);
/// assert!((values("neg_loss")?[1] - (2f32 * (-0.5 - 2.0)).exp().ln_1p()).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProxyAnchorLoss(ProxyAnchors);

impl ProxyAnchorLoss {
    /// A loss over any `distance`, whose proxies `vars` makes or holds.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for numbers outside of their range,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if `vars` holds `proxies` of another shape.
    pub fn new(
        config: ProxyAnchorLossConfig,
        distance: impl Distance + 'static,
        vars: VarBuilder<'_>,
    ) -> Result<Self> {
        let classes = Classes::new("ProxyAnchorLoss", config.num_classes, config.embedding_size);
        let init = config
            .weight_init_func
            .unwrap_or(WeightInit::KaimingNormal {
                a: 0.0,
                mode: Fan::FanOut,
                nonlinearity: Nonlinearity::LeakyRelu,
            });
        Ok(Self(ProxyAnchors {
            margin: check::finite("margin", config.margin)?,
            alpha: check::finite("alpha", config.alpha)?,
            weights: ClassWeights::new(classes, Layout::Rows, "proxies", Some(init), &vars)?,
            distance: Arc::new(distance),
        }))
    }
}

loss_over_classes!(ProxyAnchorLoss<ProxyAnchors>);

#[derive(Clone, Debug)]
struct ProxyAnchors {
    margin: f64,
    alpha: f64,
    weights: ClassWeights,
    distance: Arc<dyn Distance>,
}

impl ProxyAnchors {
    /// Distances or similarities `[classes, rows]`.
    fn by_class(&self, embeddings: &Tensor) -> Result<Tensor> {
        let proxies = self.weights.rows_for(embeddings)?;
        match self.distance.kind() {
            // The same from both sides.
            DistanceKind::Cosine { .. }
            | DistanceKind::DotProduct { .. }
            | DistanceKind::Lp { .. } => self.distance.matrix(&proxies, Some(embeddings)),
            _ => transposed(&self.distance.matrix(embeddings, Some(&proxies))?),
        }
    }

    /// The exponents of own rows and of others.
    fn exponents(&self) -> [Exponent; 2] {
        let slope = self.alpha * self.distance.order().sign();
        let offset = -slope * self.margin;
        [slope, -slope].map(|slope| Exponent { slope, offset })
    }

    /// The sum of every class over its own rows and that over all others: `[classes]` each.
    fn sums(&self, matrix: &Tensor, own: &[u32], weights: &[f64]) -> Result<[Tensor; 2]> {
        let [near, far] = self.exponents();
        if has_kernel(matrix) {
            return for_element!(matrix, "matrix", |T| {
                let weights: Vec<T> = weights.iter().map(|w| Real::from_f64(*w)).collect();
                let members = members(own, matrix.dims()[0]);
                Ok([
                    near.sum_of_members(matrix, &weights, &members)?,
                    far.sum_of_others(matrix, &weights, &members)?,
                ])
            });
        }
        let device = matrix.device();
        let weights = Tensor::new(weights, device)?.to_dtype(matrix.dtype())?; // [rows]
        let labels = Tensor::new(own, device)?; // [rows]
        let classes = Tensor::arange(0, matrix.dims()[0] as u32, device)?.unsqueeze(1)?;
        let is_own = classes.broadcast_eq(&labels.unsqueeze(0)?)?;
        let sum = |exponent: Exponent, keep: &Tensor| {
            let exponents = Composite::of(matrix, |x| exponent.of(x))?;
            let exponents = exponents.broadcast_add(&weights)?;
            exponents.masked_logsumexp(Some(keep), true)
        };
        Ok([sum(near, &is_own)?, sum(far, &is_own.eq(0u8)?)?])
    }
}

/// The rows of each class.
fn members(own: &[u32], classes: usize) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); classes];
    for (row, class) in own.iter().enumerate() {
        members[*class as usize].push(row);
    }
    members
}

/// `gradient · x + offset`.
#[derive(Clone, Copy, Debug)]
struct Exponent {
    slope: f64,
    offset: f64,
}

impl Exponent {
    fn of<E: Expression>(self, x: E) -> E {
        x * self.slope + self.offset
    }

    fn at<T: Real>(self, x: T, weight: T) -> T {
        Dual::at(x, |x| self.of(x)).value + weight
    }

    /// `ln(1 + Σ e^{exponent + w})` of each row of `matrix` `[classes, rows]` over the members of the class: `[classes]`.
    fn sum_of_members<T: Element>(
        self,
        matrix: &Tensor,
        weights: &[T],
        members: &[Vec<usize>],
    ) -> Result<Tensor> {
        let slope = <T as Real>::from_f64(self.slope);
        let sum = |class: usize, x: &[T], gradient: &mut [T], shares: &mut Vec<T>| {
            shares.clear();
            shares.extend(members[class].iter().map(|&i| self.at(x[i], weights[i])));
            let value = softmax_in_place(shares, &[], true);
            for (&i, share) in members[class].iter().zip(shares) {
                gradient[i] = *share * slope;
            }
            <T as Real>::from_f64(value)
        };
        autograd::row_values_with("proxy_anchor", matrix, sum)
    }

    /// As [`sum_of_members`](Self::sum_of_members), over all other rows.
    fn sum_of_others<T: Element>(
        self,
        matrix: &Tensor,
        weights: &[T],
        members: &[Vec<usize>],
    ) -> Result<Tensor> {
        let slope = <T as Real>::from_f64(self.slope);
        autograd::row_values("proxy_anchor", matrix, |class, x, gradient: &mut [T]| {
            for ((exponent, x), weight) in gradient.iter_mut().zip(x).zip(weights) {
                *exponent = self.at(*x, *weight);
            }
            for &i in &members[class] {
                gradient[i] = <T as Real>::from_f64(f64::NEG_INFINITY);
            }
            let value = softmax_in_place(gradient, &[], true);
            for share in gradient {
                *share *= slope;
            }
            <T as Real>::from_f64(value)
        })
    }
}

impl OverClasses for ProxyAnchors {
    const TERMS: &'static [&'static str] = &["pos_loss", "neg_loss"];

    fn weights(&self) -> &ClassWeights {
        &self.weights
    }

    fn terms_of_rows(&self, batch: &Batch, own: &[u32], tuples: &Tuples) -> Result<Terms> {
        let weights: Vec<f64> = tuples.weights(batch)?.iter().map(|w| w - 1.0).collect();
        let matrix = self.by_class(batch.embeddings())?;
        let [near, far] = self.sums(&matrix, own, &weights)?;
        let classes = self.weights.num_classes();
        let present = own.iter().collect::<HashSet<_>>().len();
        let term = |name, values, divisor: usize| {
            let indices = Indices::Elements((0..classes as u32).collect());
            let term = Term::explicit(name, Over::Elements, values, indices)?;
            Ok(term.with_divisor(divisor as f64))
        };
        let terms = [
            term("pos_loss", near, present),
            term("neg_loss", far, classes),
        ];
        terms.into_iter().collect()
    }

    fn logits(&self, embeddings: &Tensor) -> Result<Tensor> {
        self.weights.compared(&self.distance, embeddings)
    }
}

#[cfg(test)]
mod tests;
