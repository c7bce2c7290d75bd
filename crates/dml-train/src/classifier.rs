//! A linear or other classifier on embeddings, and its loss.
//!
//! ```text
//! L = −(1/N) Σᵢ log softmax(classifier(zᵢ))[yᵢ]
//! ```

use candle_core::{D, Tensor};
use dml_core::{Labels, Result, TensorExt, check};

use crate::{LossValue, NamedModule};

/// A module that returns one logit per class, with the weight of its cross-entropy ([formula](self)).
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `module(name, inputs, outputs)` is a linear layer with an optimiser, `objective()` a triplet loss.
/// use dml_train::{Classifier, TrainWithClassifier};
///
/// let classifier = Classifier::new(module("classifier", 16, 10)?).with_weight(0.5);
/// let method = TrainWithClassifier::new(module("trunk", 784, 16)?, classifier, objective()?);
/// # let _ = method;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Classifier {
    pub(crate) module: NamedModule,
    weight: f64,
}

impl Classifier {
    /// A classifier whose loss has weight 1: embeddings `[rows, dim]` → logits `[rows, classes]`. Labels are classes,
    /// from 0.
    #[must_use]
    pub fn new(module: NamedModule) -> Self {
        let weight = 1.0;
        Self { module, weight }
    }

    dml_core::setters! {
        /// Weight of its loss; 0 leaves the classifier out.
        pub fn with_weight(self, weight: f64) {
            self.module.group.left_out = weight == 0.0;
            self.weight = weight
        }
    }

    /// The loss of embeddings, under a name.
    pub(crate) fn loss(
        &self,
        name: impl Into<String>,
        embeddings: &Tensor,
        labels: &Labels,
    ) -> Result<LossValue> {
        if self.weight == 0.0 {
            return Ok(LossValue::new(name, embeddings.attached_zero()?, 0.0));
        }
        let logits = self.module.forward_through(embeddings, true)?;
        Ok(LossValue::new(
            name,
            cross_entropy(&logits, labels)?,
            self.weight,
        ))
    }
}

/// The mean cross-entropy of logits `[rows, classes]`; 0 without rows.
fn cross_entropy(logits: &Tensor, labels: &Labels) -> Result<Tensor> {
    let fits = logits.rank() == 2 && logits.dims()[0] == labels.len();
    check::shape(fits, "logits", logits, "[rows, classes], a row per label")?;
    let (rows, classes) = logits.dims2()?;
    let class = |(position, label): (usize, &i64)| check::class(position, *label, classes);
    let columns = labels.as_slice().iter().enumerate().map(class);
    let columns: Vec<u32> = columns.collect::<Result<_>>()?;
    if rows == 0 {
        return logits.attached_zero();
    }
    let own: Vec<u32> = (0..rows as u32).collect();
    let chosen = candle_nn::ops::log_softmax(logits, D::Minus1)?.pick_entries(&own, &columns)?;
    Ok(chosen.mean_all()?.neg()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use dml_core::Error;
    use dml_core::IntoLabels;

    #[test]
    fn the_loss_is_the_mean_of_the_negative_log_likelihoods() -> Result<()> {
        let logits = Var::new(&[[0f64, 3f64.ln()], [0., 0.]], &Device::Cpu)?;
        let labels = [1i64, 0].into_labels()?;
        let loss = cross_entropy(&logits, &labels)?;
        // −log(3/4) and −log(1/2).
        let expected = (-(0.75f64.ln()) + 2f64.ln()) / 2.0;
        approx::assert_relative_eq!(loss.to_scalar::<f64>()?, expected, epsilon = 1e-12);
        let gradient = loss.backward()?.get(&logits).unwrap().to_vec2::<f64>()?;
        approx::assert_relative_eq!(gradient[0][1], -0.125, epsilon = 1e-12);
        let refused = cross_entropy(&logits, &[1i64, 2].into_labels()?);
        assert!(matches!(refused, Err(Error::Index { position: 1, .. })));
        let refused = cross_entropy(&logits, &[1i64].into_labels()?);
        assert!(matches!(refused, Err(Error::Shape { .. })));
        Ok(())
    }
}
