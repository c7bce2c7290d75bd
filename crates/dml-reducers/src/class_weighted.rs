//! The mean of values that weigh as the class of their anchor.
//!
//! ```text
//! L = (1/n) Σ w[yₐ] ℓᵢ,   a the row of value i, or the anchor of its pair or triplet
//! ```
//!
//! Divided by the number of values, not by the sum of their weights.

use dml_core::candle_core::Tensor;
use dml_core::{Batch, Reduced, Reducer, Result, Term, check};

/// Configuration of [`ClassWeightedReducer`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct ClassWeightedReducerConfig {
    /// The weight of class 0, of class 1, and so on; finite.
    pub weights: Vec<f64>,
}

/// Mean weighted by class ([formula](self)); labels must be `0..weights.len()`.
///
/// ```
/// use dml_core::{Batch, Indices, Over, Reducer, Term, candle_core::{Device, Tensor}};
/// use dml_reducers::{ClassWeightedReducer, ClassWeightedReducerConfig};
///
/// let reducer = ClassWeightedReducer::new(ClassWeightedReducerConfig { weights: vec![3.0, 0.5] })?;
/// let batch = Batch::new(&Tensor::new(&[[0f32], [1.], [2.]], &Device::Cpu)?, &[0i64, 1, 1])?;
/// let values = Tensor::new(&[1f32, 2., 4.], &Device::Cpu)?;
/// let term = Term::explicit("loss", Over::Elements, values, Indices::Elements(vec![0, 1, 2]))?;
/// assert_eq!(reducer.reduce(&term.into(), &batch)?.loss.to_scalar::<f32>()?, 2.0);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClassWeightedReducer {
    weights: Vec<f64>,
}

impl ClassWeightedReducer {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if a weight is not finite.
    pub fn new(config: ClassWeightedReducerConfig) -> Result<Self> {
        for weight in &config.weights {
            check::finite("weights", *weight)?;
        }
        Ok(Self {
            weights: config.weights,
        })
    }

    /// The weight of each anchor; 0 for rows without values, whose class need not have one.
    fn of_anchors(&self, labels: &[i64], counts: &[u64]) -> Result<Vec<f64>> {
        let weigh = |(row, (&label, &count)): (usize, (&i64, &u64))| {
            if count == 0 {
                return Ok(0.0);
            }
            let class = check::class(row, label, self.weights.len())?;
            Ok(self.weights[class as usize])
        };
        labels.iter().zip(counts).enumerate().map(weigh).collect()
    }
}

impl Reducer for ClassWeightedReducer {
    /// # Errors
    /// [`Error::Missing`](dml_core::Error::Missing) for a batch without labels,
    /// [`Error::Index`](dml_core::Error::Index) for a label that has no weight.
    fn reduce_term(&self, term: &Term, batch: &Batch) -> Result<Reduced> {
        let labels = check::present(batch.labels(), "ClassWeightedReducer", "labels")?;
        let by_anchor = term.sums_by_anchor(labels.len())?;
        let weights = self.of_anchors(labels.as_slice(), &by_anchor.counts)?;
        let sums = by_anchor.sums;
        let weights = Tensor::new(weights, sums.device())?.to_dtype(sums.dtype())?;
        let total = term.count();
        let mean = ((sums * weights)?.sum_all()? / total as f64)?;
        Ok(Reduced::new(mean, total, total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Values, gradient_and_loss};
    use dml_core::Error;

    fn reducer(weights: &[f64]) -> ClassWeightedReducer {
        ClassWeightedReducer::new(ClassWeightedReducerConfig {
            weights: weights.to_vec(),
        })
        .unwrap()
    }

    #[test]
    fn values_weigh_as_the_class_of_their_anchor() -> Result<()> {
        // Anchors 0, 2, 2 have classes 0, 1, 1: (3·1 + ½·2 + ½·6) / 3.
        for values in Values::of_every_kind(&[1.0, 2.0, 6.0]) {
            let (gradient, reduced) = gradient_and_loss(&reducer(&[3.0, 0.5]), &values)?;
            assert!((reduced.loss.to_scalar::<f64>()? - 7.0 / 3.0).abs() < 1e-15);
            assert_eq!((reduced.kept, reduced.total), (3, 3));
            assert_eq!(gradient, [1.0, 0.5 / 3.0, 0.5 / 3.0]);
        }
        Ok(())
    }

    #[test]
    fn every_class_needs_a_weight_and_the_batch_labels() -> Result<()> {
        for values in Values::of_every_kind(&[1.0, 2.0, 6.0]) {
            assert!(matches!(
                reducer(&[3.0]).reduce(&values.terms, &values.batch),
                Err(Error::Index {
                    arg: "labels",
                    position: 2,
                    limit: 1,
                    got: 1
                })
            ));
            let negative = Batch::new(&values.embeddings, [-1i64, 0, 1, 1])?;
            assert!(matches!(
                reducer(&[3.0, 0.5]).reduce(&values.terms, &negative),
                Err(Error::Index { got: -1, .. })
            ));
            let unlabeled = Batch::unlabeled(&values.embeddings)?;
            assert!(matches!(
                reducer(&[3.0, 0.5]).reduce(&values.terms, &unlabeled),
                Err(Error::Missing {
                    component: "ClassWeightedReducer",
                    ..
                })
            ));
            // Rows 1 and 3 carry no value: their classes need no weight.
            let unused = Batch::new(&values.embeddings, [0i64, 7, 1, -4])?;
            reducer(&[3.0, 0.5]).reduce(&values.terms, &unused)?;
        }
        Ok(())
    }

    #[test]
    fn weights_are_finite() {
        let weights = vec![1.0, f64::NAN];
        assert!(matches!(
            ClassWeightedReducer::new(ClassWeightedReducerConfig { weights }),
            Err(Error::InvalidParameter {
                name: "weights",
                ..
            })
        ));
    }
}
