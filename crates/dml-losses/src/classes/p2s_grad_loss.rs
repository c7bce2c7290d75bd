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

use candle_core::{Tensor, Var};
use candle_nn::VarBuilder;
use dml_core::autograd::{self, has_kernel};
use dml_core::kernels::Real;
use dml_core::{
    Batch, ClassLoss, Error, Loss, Result, TensorExt, Term, Terms, Tuples, check, for_element,
};

use crate::WeightInit;
use crate::classes::class_weights::{ClassWeights, Classes, Layout};
use crate::machinery::transposed::transposed;

/// Configuration of [`P2SGradLoss`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct P2SGradLossConfig {
    /// Columns of the embeddings, 1 to 4,294,967,295.
    pub descriptors_dim: usize,
    /// Number of classes, 1 to 4,294,967,295.
    pub num_classes: usize,
}

/// Squared error of cosines ([formula](self)). One scalar term `loss`. Learns `weight` `[dim, classes]`.
#[derive(Clone, Debug)]
pub struct P2SGradLoss {
    weights: ClassWeights,
}

impl P2SGradLoss {
    /// A loss whose weights `vars` makes or holds.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for no classes or columns, [`Error::Tensor`] if `vars` holds a `weight` of another
    /// shape.
    pub fn new(config: P2SGradLossConfig, vars: VarBuilder<'_>) -> Result<Self> {
        let classes = Classes {
            component: "P2SGradLoss",
            num_classes: config.num_classes,
            centers: 1,
            dim: check::at_least_one("descriptors_dim", config.descriptors_dim)?,
        };
        let init = WeightInit::Uniform { a: -1.0, b: 1.0 };
        let weights = ClassWeights::new(classes, Layout::Columns, "weight", &init, &vars)?;
        let loss = Self { weights };
        loss.rescale()?;
        Ok(loss)
    }

    /// Scales the weight of each class to length 1.
    fn rescale(&self) -> Result<()> {
        let unit = self.weights.rows()?.detach().normalize_rows(2.0)?; // [classes, dim]
        Ok(self.weights.var().set(&transposed(&unit)?)?)
    }

    /// Cosines `[rows, classes]` with weights of length 1.
    fn cosines(&self, embeddings: &Tensor) -> Result<Tensor> {
        let weights = self.weights.rows_for(embeddings)?;
        embeddings.normalize_rows(2.0)?.pairwise_dot(&weights)
    }
}

/// `Σⱼ (clamp(xⱼ, −1, 1) − [j = own])²` of each row `[rows]`.
fn squared_errors(cosines: &Tensor, own: &[u32]) -> Result<Tensor> {
    if has_kernel(cosines) {
        return for_element!(cosines, "cosines", |T| {
            autograd::row_values::<T>("p2s_grad", cosines, |i, x, slopes| {
                let own = own[i] as usize;
                let mut sum = 0.0;
                for (j, (x, slope)) in x.iter().zip(slopes.iter_mut()).enumerate() {
                    let x = x.to_f64();
                    let difference = x.clamp(-1.0, 1.0) - if j == own { 1.0 } else { 0.0 };
                    sum += difference * difference;
                    // NaN is not outside.
                    *slope = if x.abs() > 1.0 {
                        <T as Real>::ZERO
                    } else {
                        <T as Real>::from_f64(2.0 * difference)
                    };
                }
                <T as Real>::from_f64(sum)
            })
        });
    }
    let (rows, classes) = cosines.dims2()?;
    let device = cosines.device();
    let own = Tensor::from_slice(own, (rows, 1), device)?;
    let target = Tensor::arange(0, classes as u32, device)?
        .broadcast_as((rows, classes))?
        .broadcast_eq(&own)?
        .to_dtype(cosines.dtype())?;
    // Outside of [−1, 1] the nearest bound stands, and a constant has no gradient.
    let bound = cosines.detach().clamp(-1.0, 1.0)?;
    let outside = cosines.abs()?.gt(1.0)?;
    let clamped = outside.where_cond(&bound, cosines)?;
    Ok((clamped - target)?.sqr()?.sum(1)?)
}

impl Loss for P2SGradLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        if let Some(terms) = batch.spoiled_rows()? {
            return Ok(terms);
        }
        if !tuples.is_all() {
            return Err(Error::Unsupported {
                component: "P2SGradLoss",
                reason: "every row is compared with every class: there is no place for tuples",
            });
        }
        self.weights.terms(batch, |own| {
            self.rescale()?;
            let cosines = self.cosines(batch.embeddings())?;
            let count = cosines.elem_count() as f64;
            let mean = (squared_errors(&cosines, own)?.sum_all()? / count)?;
            Term::scalar("loss", mean)
        })
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        self.weights.parameters()
    }

    fn as_class_loss(&self) -> Option<&dyn ClassLoss> {
        Some(self)
    }

    fn takes_tuples(&self) -> bool {
        false
    }
}

impl ClassLoss for P2SGradLoss {
    /// The cosines.
    fn logits(&self, embeddings: &Tensor) -> Result<Tensor> {
        self.rescale()?;
        self.cosines(embeddings)
    }

    fn class_rows(&self) -> Result<Tensor> {
        self.weights.rows()
    }
}

#[cfg(test)]
mod tests;
