//! N-pairs loss: of one positive pair a class, each anchor should be closest to its own positive.
//!
//! ```text
//! ℓ(k) = ln Σⱼ e^{s(aₖ, pⱼ)} − s(aₖ, pₖ)        (aₖ, pₖ): the first positive pair of class k
//! s: the similarity; for distances their negative
//! ```
//!
//! Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective" (NIPS 2016), the multi-class form.
//!
//! Only rows of the chosen pairs are compared: `C²` distances for C classes.

use std::sync::Arc;

use candle_core::Tensor;
use dml_core::{Batch, Distance, Indices, Loss, Over, Result, TensorExt, Term, Terms, Tuples};

use crate::machinery::one_positive_pair_per_label::one_positive_pair_per_label;
use crate::machinery::requirements;

/// Cross entropy over one positive pair a class ([formula](self)). One term `loss`, with a value for the anchor of each
/// class.
///
/// The pairs are the first ones of each label in the order of the tuples, classes in the order of their labels.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Batch, Loss, Tuples};
/// use dml_distances::LpDistance;
/// use dml_losses::NPairsLoss;
///
/// let loss = NPairsLoss::new(LpDistance::unnormalized());
/// let embeddings = Tensor::new(&[[0f64], [1.], [3.], [5.]], &Device::Cpu)?;
/// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1, 1])?, &Tuples::all())?;
/// // The pairs are (0, 1) and (3, 5). From 0 it is 1 to 1 and 5 to 5: ln(1 + e⁻⁴). From 3 it is 2 to either: ln 2.
/// let want = [(-4f64).exp().ln_1p(), 2f64.ln()];
/// let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?;
/// for (value, want) in values.iter().zip(want) {
///     assert!((value - want).abs() < 1e-12);
/// }
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NPairsLoss {
    distance: Arc<dyn Distance>,
}

impl NPairsLoss {
    /// A loss over `distance`.
    #[must_use]
    pub fn new(distance: impl Distance + 'static) -> Self {
        Self {
            distance: Arc::new(distance),
        }
    }
}

impl Loss for NPairsLoss {
    /// # Errors
    /// [`Error::Missing`](dml_core::Error::Missing) for a batch without labels,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) for one with a reference set: pairs of several classes are
    /// compared across, as anchors and as positives.
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        requirements::check(self, "NPairsLoss", batch, tuples)?;
        if let Some(terms) = batch.spoiled(tuples)? {
            return Ok(terms);
        }
        let pairs = one_positive_pair_per_label(batch, tuples)?; // C pairs
        if pairs.positives.is_empty() {
            return Ok(Term::empty("loss").into());
        }
        let embeddings = batch.embeddings();
        let rows = |rows: &[u32]| -> Result<Tensor> {
            let rows = Tensor::new(rows, embeddings.device())?;
            Ok(embeddings.index_select(&rows, 0)?)
        };
        let (anchors, positives) = (rows(&pairs.positive_anchors)?, rows(&pairs.positives)?);
        let matrix = self.distance.matrix(&anchors, Some(&positives))?; // [C, C]
        let similarity = (matrix * -self.distance.order().sign())?;
        let classes: Vec<u32> = (0..pairs.positives.len() as u32).collect();
        let own = similarity.pick_entries(&classes, &classes)?; // [C]
        let values = (similarity.masked_logsumexp(None, false)? - own)?;
        let indices = Indices::Elements(pairs.positive_anchors);
        Ok(Term::explicit("loss", Over::Elements, values, indices)?.into())
    }

    fn takes_reference(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;
    use dml_core::Pairs;
    use dml_core::candle_core::{Device, Var};
    use dml_distances::LpDistance;

    fn loss() -> NPairsLoss {
        NPairsLoss::new(LpDistance::unnormalized())
    }

    #[test]
    fn by_hand() -> Result<()> {
        let rows = Var::new(&[[0f64], [5.], [1.], [6.], [0.5]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [7i64, -1, 7, -1, 3])?;
        let terms = loss().terms(&batch, &Tuples::all())?;
        let (values, indices) = terms.get("loss").unwrap().values()?;
        // Labels in order: −1 has the pair (1, 3), 3 has none, 7 has (0, 2).
        assert_eq!(indices, Indices::Elements(vec![1, 0]));
        // From 5 it is 1 to 6 and 4 to 1; from 0 it is 1 to 1 and 6 to 6.
        let want = [(1.0 + (-3f64).exp()).ln(), (1.0 + (-5f64).exp()).ln()];
        for (got, want) in values.to_vec1::<f64>()?.iter().zip(want) {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
        let gradient = values.sum_all()?.backward()?;
        let gradient = gradient.get(rows.as_tensor()).unwrap().to_vec2::<f64>()?;
        // Row 1 lies between its positive and the other's: both draw it up, each with the share of the other.
        let share = 1.0 / (1.0 + 3f64.exp());
        assert!((gradient[1][0] + 2.0 * share).abs() < 1e-12);
        assert!(gradient[4][0].abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn the_first_pair_of_a_label_is_taken() -> Result<()> {
        let rows = Var::new(&[[0f64], [1.], [3.]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [0i64, 0, 0])?;
        let pairs = Pairs::new(vec![2, 0], vec![1, 1], vec![], vec![])?;
        let terms = loss().terms(&batch, &pairs.into())?;
        let (values, indices) = terms.get("loss").unwrap().values()?;
        assert_eq!(indices, Indices::Elements(vec![2]));
        assert_eq!(values.to_vec1::<f64>()?, [0.0]);
        Ok(())
    }

    #[test]
    fn what_it_cannot_do_is_said() -> Result<()> {
        let rows = Var::new(&[[0f64], [1.]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [0i64, 1])?;
        assert!(
            loss()
                .terms(&batch, &Tuples::all())?
                .get("loss")
                .unwrap()
                .is_empty()
        );
        let with_reference = batch.with_reference(&rows, [0i64, 1])?;
        assert!(matches!(
            loss().terms(&with_reference, &Tuples::all()),
            Err(Error::Unsupported { .. })
        ));
        assert!(matches!(
            loss().terms(&Batch::unlabeled(&rows)?, &Tuples::all()),
            Err(Error::Missing { .. })
        ));
        Ok(())
    }
}
