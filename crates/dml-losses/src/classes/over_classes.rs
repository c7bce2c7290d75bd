//! What all losses with a learned vector for each class have in common.

use candle_core::Tensor;
use dml_core::{Batch, Result, Term, Terms, Tuples};

use crate::classes::class_weights::ClassWeights;
use crate::machinery::requirements;

/// A loss that compares the rows of a batch with the learned vectors of their classes.
///
/// The public type of such a loss is a struct around it, whose [`Loss`](dml_core::Loss) and
/// [`ClassLoss`](dml_core::ClassLoss) come from [`loss_over_classes!`].
pub(crate) trait OverClasses {
    /// The names of its terms.
    const TERMS: &'static [&'static str] = &["loss"];
    /// Whether tuples choose and weigh the rows.
    const TAKES_TUPLES: bool = true;

    /// The learned vectors.
    fn weights(&self) -> &ClassWeights;

    /// The terms of a batch with at least one row; `own` has the class of each row.
    fn terms_of_rows(&self, batch: &Batch, own: &[u32], tuples: &Tuples) -> Result<Terms>;

    /// The logits of [`ClassLoss::logits`](dml_core::ClassLoss::logits).
    fn logits(&self, embeddings: &Tensor) -> Result<Tensor>;

    /// The terms of any batch.
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        if let Some(terms) = batch.spoiled_rows()? {
            return Ok(terms);
        }
        if !Self::TAKES_TUPLES {
            requirements::no_tuples(self.weights().component(), tuples)?;
        }
        let own = self.weights().own_classes(batch)?;
        if own.is_empty() {
            return Ok(Self::TERMS.iter().copied().map(Term::empty).collect());
        }
        self.terms_of_rows(batch, &own, tuples)
    }
}

/// Implements `Loss` and `ClassLoss` for a struct whose only field is [`OverClasses`].
macro_rules! loss_over_classes {
    ($loss:ident<$inner:ty>) => {
        impl dml_core::Loss for $loss {
            fn terms(
                &self,
                batch: &dml_core::Batch,
                tuples: &dml_core::Tuples,
            ) -> dml_core::Result<dml_core::Terms> {
                $crate::classes::over_classes::OverClasses::terms(&self.0, batch, tuples)
            }

            fn parameters(&self) -> Vec<(String, candle_core::Var)> {
                $crate::classes::over_classes::OverClasses::weights(&self.0).parameters()
            }

            fn as_class_loss(&self) -> Option<&dyn dml_core::ClassLoss> {
                Some(self)
            }

            fn takes_tuples(&self) -> bool {
                <$inner as $crate::classes::over_classes::OverClasses>::TAKES_TUPLES
            }
        }

        impl dml_core::ClassLoss for $loss {
            fn logits(
                &self,
                embeddings: &candle_core::Tensor,
            ) -> dml_core::Result<candle_core::Tensor> {
                $crate::classes::over_classes::OverClasses::logits(&self.0, embeddings)
            }

            fn class_rows(&self) -> dml_core::Result<candle_core::Tensor> {
                $crate::classes::over_classes::OverClasses::weights(&self.0).rows()
            }
        }
    };
}
pub(crate) use loss_over_classes;
