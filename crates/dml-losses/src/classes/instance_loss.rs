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

use dml_core::{Batch, Distance, Loss, Result, Term, Terms, Tuples, check};

use crate::classes::class_softmax::{ClassLogits, Subtracted};
use crate::machinery::requirements;
use crate::machinery::row_terms::term_over_rows;

dml_core::config! {
    /// Configuration of [`InstanceLoss`].
    pub struct InstanceLossConfig {
        /// γ: factor of the similarities, in `[-1e30, 1e30]`. Default `64`.
        pub gamma: f64 = 64.0,
    }
}

/// Cross entropy of similarities ([formula](self)). One term `loss`, per row.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::CosineSimilarity;
/// use dml_losses::{InstanceLoss, InstanceLossConfig};
///
/// let loss = InstanceLoss::new(InstanceLossConfig { gamma: 2.0 }, CosineSimilarity::default())?;
/// let embeddings = Tensor::new(&[[1f32, 0.], [0., 1.], [-1., 0.]], &Device::Cpu)?;
/// let terms = loss.terms(&Batch::new(&embeddings, &[7i64, -3, 7])?, &Tuples::all())?;
/// // Label 7 is the second, so row 0 should pick row 1, with score 0 among the scores 2, 0 and −2.
/// let value = terms.get("loss").unwrap().values()?.0.to_vec1::<f32>()?[0];
/// assert!((value - (2f32.exp() + 1.0 + (-2f32).exp()).ln()).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct InstanceLoss {
    gamma: f64,
    distance: Arc<dyn Distance>,
}

impl InstanceLoss {
    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if γ is not finite,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) unless the distance is the cosine similarity.
    pub fn new(config: InstanceLossConfig, distance: impl Distance + 'static) -> Result<Self> {
        requirements::cosine("InstanceLoss", &distance, requirements::DEFINED_FOR_COSINE)?;
        Ok(Self {
            gamma: check::finite("gamma", config.gamma)?,
            distance: Arc::new(distance),
        })
    }
}

impl Loss for InstanceLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        check::unweighted("InstanceLoss", batch)?;
        if let Some(terms) = batch.spoiled_rows()? {
            return Ok(terms);
        }
        requirements::no_tuples("InstanceLoss", tuples)?;
        requirements::no_reference("InstanceLoss", batch)?;
        let labels = check::present(batch.labels(), "InstanceLoss", "labels")?;
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
        let logits = ClassLogits::new(batch.distances(&self.distance)?, self.gamma);
        let values = logits.cross_entropy(&targets, &Subtracted(0.0))?;
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
