//! Instance loss: each row of the similarities of a batch as the scores of a classifier.
//!
//! ```text
//! ℓ_i = −ln( e^{γ s(i, k)} / Σ_j e^{γ s(i, j)} ),   k = the rank of i's label among the labels of the batch
//! ```
//!
//! The target is a column of the batch's own similarities, chosen by the rank of the label: row i is drawn to row k.
//!
//! Zheng, Zheng, Garrett, Yang, Xu and Shen, "Dual-Path Convolutional Image-Text Embeddings with Instance Loss" (2017,
//! arXiv:1711.05535).

use std::sync::Arc;

use candle_core::Tensor;
use dml_core::autograd::{self, has_kernel};
use dml_core::kernels::{Real, softmax::softmax_in_place};
use dml_core::{
    Batch, Distance, Error, Loss, Result, TensorExt, Term, Terms, Tuples, check, for_element,
};

use crate::machinery::demands;
use crate::machinery::row_terms::term_over_rows;

/// Configuration of [`InstanceLoss`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct InstanceLossConfig {
    /// γ, what similarities are multiplied by; in `[-1e30, 1e30]`. Default `64`.
    pub gamma: f64,
}

impl Default for InstanceLossConfig {
    fn default() -> Self {
        Self { gamma: 64.0 }
    }
}

/// Cross entropy of similarities ([formula](self)). One term `loss`, per row.
#[derive(Clone, Debug)]
pub struct InstanceLoss {
    gamma: f64,
    distance: Arc<dyn Distance>,
}

impl InstanceLoss {
    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if γ is not finite, [`Error::Unsupported`] unless the distance is the cosine
    /// similarity.
    pub fn new(config: InstanceLossConfig, distance: Arc<dyn Distance>) -> Result<Self> {
        demands::cosine("InstanceLoss", &distance, demands::DEFINED_FOR_COSINE)?;
        Ok(Self {
            gamma: check::finite("gamma", config.gamma)?,
            distance,
        })
    }

    /// The cross entropy of each row `[N]` with its target.
    fn cross_entropy(&self, matrix: &Tensor, targets: &[u32]) -> Result<Tensor> {
        if has_kernel(matrix) {
            return for_element!(matrix, "matrix", |T| {
                let gamma = <T as Real>::from_f64(self.gamma);
                autograd::row_values::<T>("cross_entropy", matrix, |row, x, slopes| {
                    cross_entropy_of_row(gamma, x, slopes, targets[row] as usize)
                })
            });
        }
        let rows: Vec<u32> = (0..targets.len() as u32).collect();
        let scores = (matrix * self.gamma)?; // [N, N]
        Ok((scores.masked_logsumexp(None, false)? - scores.pick_entries(&rows, targets)?)?)
    }
}

fn cross_entropy_of_row<T: Real>(gamma: T, x: &[T], slopes: &mut [T], target: usize) -> T {
    for (slope, x) in slopes.iter_mut().zip(x) {
        *slope = gamma * *x;
    }
    let value = -slopes[target].to_f64() + softmax_in_place(slopes, &[], false);
    slopes[target] -= T::ONE;
    slopes.iter_mut().for_each(|slope| *slope = *slope * gamma);
    T::from_f64(value)
}

impl Loss for InstanceLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        check::unweighted("InstanceLoss", batch)?;
        if let Some(terms) = batch.spoiled_rows()? {
            return Ok(terms);
        }
        demands::no_tuples("InstanceLoss", tuples)?;
        demands::no_reference("InstanceLoss", batch)?;
        let labels = batch.labels().ok_or(Error::Missing {
            component: "InstanceLoss",
            needed: "labels",
        })?;
        if labels.is_empty() {
            return Ok(Term::empty("loss").into());
        }
        let labels = labels.as_slice();
        let mut classes = labels.to_vec();
        classes.sort_unstable();
        classes.dedup();
        // Every label is among the classes, so the search always finds it.
        let rank = |label: &i64| classes.partition_point(|class| class < label) as u32;
        let targets: Vec<u32> = labels.iter().map(rank).collect();
        let values = self.cross_entropy(&batch.distances(&self.distance)?, &targets)?;
        let rows = (0..batch.queries() as u32).collect();
        Ok(term_over_rows("loss", &values, rows, batch, tuples)?.into())
    }

    fn takes_reference(&self) -> bool {
        false
    }

    fn takes_tuples(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
