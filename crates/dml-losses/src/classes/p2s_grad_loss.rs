//! Squared differences between cosines and what they should be: 1 with the own class, 0 with all others.
//!
//! ```text
//! ℓ = mean over rows i and classes j of (cos θᵢⱼ − [j = yᵢ])²
//! ```
//!
//! Zhang, Zhao, Yan, Gao, Qiao, Wang and Li, "`P2SGrad`: Refined Gradients for Optimizing Deep Face Models", 2019,
//! arXiv:1905.02479, eq. 11.
//!
//! Each call first scales the weights of the classes to length 1, in place; the gradient ignores that. A weight shorter
//! than 1e-5 is scaled, too, and an embedding of length 0 has cosine 0 with every class. (PyTorch Metric Learning fails at
//! the former, and has NaN for the latter.)

use candle_core::Tensor;
use candle_nn::VarBuilder;
use dml_core::autograd::{self, has_kernel};
use dml_core::kernels::Real;
use dml_core::{Batch, Result, TensorExt, Term, Terms, Tuples, check, for_element};

use crate::WeightInit;
use crate::classes::class_weights::{ClassWeights, Classes, Layout};
use crate::classes::over_classes::{OverClasses, loss_over_classes};
use crate::machinery::expression::{Composite, Dual, Expression};
use crate::machinery::transposed::transposed;

/// Configuration of [`P2SGradLoss`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct P2SGradLossConfig {
    /// Number of columns of the embeddings, 1 to 4,294,967,295.
    pub descriptors_dim: usize,
    /// Number of classes, 1 to 4,294,967,295.
    pub num_classes: usize,
}

/// Squared error of cosines ([formula](self)). One scalar term `loss`. Learns `weight` `[dim, classes]`. Its logits are the
/// cosines.
///
/// ```
/// use dml_core::candle_core::{DType, Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_losses::{P2SGradLoss, P2SGradLossConfig, SeededVars};
///
/// let vars = SeededVars::new(0).builder(DType::F32, &Device::Cpu);
/// let config = P2SGradLossConfig { descriptors_dim: 2, num_classes: 2 };
/// let loss = P2SGradLoss::new(config, vars)?;
/// let (_, weights) = &loss.parameters()[0];
/// weights.set(&Tensor::new(&[[5f32, 0.], [0., 1.]], &Device::Cpu)?)?;
///
/// let batch = Batch::new(&Tensor::new(&[[3f32, 4.]], &Device::Cpu)?, &[0i64])?;
/// let terms = loss.terms(&batch, &Tuples::all())?;
/// // Cosines 0.6, which should be 1, and 0.8, which should be 0.
/// let value = terms.get("loss").unwrap().values()?.0.to_scalar::<f32>()?;
/// assert!((value - (0.4 * 0.4 + 0.8 * 0.8) / 2.0).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct P2SGradLoss(SquaredErrors);

impl P2SGradLoss {
    /// A loss whose weights `vars` makes or holds.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for no classes or columns,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if `vars` holds a `weight` of another shape.
    pub fn new(config: P2SGradLossConfig, vars: VarBuilder<'_>) -> Result<Self> {
        let dim = check::at_least_one("descriptors_dim", config.descriptors_dim)?;
        let classes = Classes::new("P2SGradLoss", config.num_classes, dim);
        let init = WeightInit::Uniform { a: -1.0, b: 1.0 };
        let weights = ClassWeights::new(classes, Layout::Columns, "weight", Some(init), &vars)?;
        let loss = SquaredErrors { weights };
        loss.rescale()?;
        Ok(Self(loss))
    }
}

loss_over_classes!(P2SGradLoss<SquaredErrors>);

#[derive(Clone, Debug)]
struct SquaredErrors {
    weights: ClassWeights,
}

impl SquaredErrors {
    /// Scales the weight of each class to length 1.
    fn rescale(&self) -> Result<()> {
        let unit = self.weights.rows()?.detach().normalize_rows(2.0)?; // [classes, dim]
        Ok(self.weights.var().set(&transposed(&unit)?)?)
    }
}

impl OverClasses for SquaredErrors {
    const TAKES_TUPLES: bool = false;

    fn weights(&self) -> &ClassWeights {
        &self.weights
    }

    fn terms_of_rows(&self, batch: &Batch, own: &[u32], _: &Tuples) -> Result<Terms> {
        let cosines = self.logits(batch.embeddings())?;
        let count = cosines.elem_count() as f64;
        let mean = (squared_errors(&cosines, own)?.sum_all()? / count)?;
        Ok(Term::scalar("loss", mean)?.into())
    }

    /// Cosines `[rows, classes]`.
    fn logits(&self, embeddings: &Tensor) -> Result<Tensor> {
        self.rescale()?;
        let weights = self.weights.rows_for(embeddings)?; // of length 1
        embeddings.normalize_rows(2.0)?.pairwise_dot(&weights)
    }
}

/// `(clamp(cosine, −1, 1) − [own])²`.
fn squared_error<E: Expression>(cosine: E, is_own: E::Condition) -> E {
    let cosine = cosine.clamp(-1.0, 1.0);
    let error = E::select(is_own, cosine.clone() - 1.0, cosine);
    error.clone() * error
}

/// The sum of the squared errors of each row `[rows]`.
fn squared_errors(cosines: &Tensor, own: &[u32]) -> Result<Tensor> {
    if has_kernel(cosines) {
        return for_element!(cosines, "cosines", |T| {
            autograd::row_values::<T>("p2s_grad", cosines, |i, x, gradient| {
                let own = own[i] as usize;
                let mut sum = 0.0;
                for (j, (x, gradient)) in x.iter().zip(gradient).enumerate() {
                    let error = Dual::at(x.to_f64(), |x| squared_error(x, j == own));
                    sum += error.value;
                    *gradient = <T as Real>::from_f64(error.gradient[0]);
                }
                <T as Real>::from_f64(sum)
            })
        });
    }
    let (rows, classes) = cosines.dims2()?;
    let device = cosines.device();
    let own = Tensor::from_slice(own, (rows, 1), device)?;
    let is_own = Tensor::arange(0, classes as u32, device)?
        .broadcast_as((rows, classes))?
        .broadcast_eq(&own)?;
    Ok(Composite::of(cosines, |x| squared_error(x, is_own))?.sum(1)?)
}

#[cfg(test)]
mod tests;
