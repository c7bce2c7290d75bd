//! Softmax over classes with a margin on the own class: one loss, of which each margin is a parameter.
//!
//! ```text
//! ℓ = w · −ln( e^{s φ(x_y)} / (e^{s φ(x_y)} + Σ_{j≠y} e^{s xⱼ}) )       xⱼ: similarity to class j,   y: the own class
//! ```

use std::sync::Arc;

use candle_core::Tensor;
use candle_nn::VarBuilder;
use dml_core::{Batch, Distance, Result, Terms, Tuples, check};

use crate::WeightInit;
use crate::classes::class_softmax::{ClassLogits, Margin, Subtracted};
use crate::classes::class_weights::{ClassWeights, Classes, Layout};
use crate::classes::over_classes::OverClasses;
use crate::machinery::requirements;

/// What tells one softmax loss over classes from another, beside the formula of its margin.
pub(crate) trait MarginSoftmax: Margin {
    /// The logits of all classes before the margin.
    fn logits(loss: &MarginSoftmaxLoss<Self>, embeddings: &Tensor) -> Result<ClassLogits> {
        let similarities = loss.weights.compared(&loss.distance, embeddings)?;
        Ok(ClassLogits::new(similarities, loss.scale))
    }

    /// The logits that [`ClassLoss::logits`](dml_core::ClassLoss::logits) gives.
    fn scores(logits: &ClassLogits) -> Result<Tensor> {
        logits.all()
    }

    /// How much each row counts.
    fn row_weights(tuples: &Tuples, batch: &Batch) -> Result<Vec<f64>> {
        tuples.weights(batch)
    }
}

impl MarginSoftmax for Subtracted {}

/// The loss; see the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct MarginSoftmaxLoss<M> {
    pub(crate) margin: M,
    /// What similarities are multiplied by.
    pub(crate) scale: f64,
    pub(crate) weights: ClassWeights,
    pub(crate) distance: Arc<dyn Distance>,
}

impl<M: MarginSoftmax> MarginSoftmaxLoss<M> {
    /// The loss over cosines, with its weights `W` `[dim, classes]` and PML's argument names.
    pub(crate) fn over_cosines(
        classes: Classes,
        margin: M,
        scale: f64,
        init: Option<WeightInit>,
        distance: impl Distance + 'static,
        vars: &VarBuilder<'_>,
    ) -> Result<Self> {
        requirements::cosine(
            classes.component,
            &distance,
            requirements::MARGIN_OF_AN_ANGLE,
        )?;
        Ok(Self {
            margin,
            scale: check::finite("scale", scale)?,
            weights: ClassWeights::new(classes, Layout::Columns, "W", init, vars)?,
            distance: Arc::new(distance),
        })
    }
}

impl<M: MarginSoftmax> OverClasses for MarginSoftmaxLoss<M> {
    fn weights(&self) -> &ClassWeights {
        &self.weights
    }

    fn terms_of_rows(&self, batch: &Batch, own: &[u32], tuples: &Tuples) -> Result<Terms> {
        let logits = M::logits(self, batch.embeddings())?;
        let weights = M::row_weights(tuples, batch)?;
        Ok(logits.term(own, &self.margin, &weights)?.into())
    }

    fn logits(&self, embeddings: &Tensor) -> Result<Tensor> {
        M::scores(&M::logits(self, embeddings)?)
    }
}

/// Declares a loss over cosines and its configuration, which differ from their siblings in the margin and the defaults.
///
/// A loss with more arguments writes its configuration out and calls [`MarginSoftmaxLoss::over_cosines`].
macro_rules! margin_softmax_loss {
    (
        $(#[$of_config:meta])*
        pub struct $Config:ident {
            $(#[$of_margin:meta])*
            margin = $margin:expr,
            $(#[$of_scale:meta])*
            scale = $scale:expr,
        }

        $(#[$of_loss:meta])*
        pub struct $Loss:ident($Margin:ty) = $make:expr;
    ) => {
        dml_core::config! {
            $(#[$of_config])*
            pub struct $Config {
                /// Number of classes, 1 to 4,294,967,295.
                pub num_classes: usize,
                /// Number of columns of the embeddings, 1 to 4,294,967,295; with `num_classes` at most 2³⁴ numbers in all.
                pub embedding_size: usize;
                $(#[$of_margin])*
                pub margin: f64 = $margin,
                $(#[$of_scale])*
                pub scale: f64 = $scale,
                /// Initialisation of the weights. Default: standard normal.
                pub weight_init_func: Option<$crate::WeightInit> = None,
            }
        }

        $(#[$of_loss])*
        #[derive(Clone, Debug)]
        pub struct $Loss($crate::classes::margin_softmax::MarginSoftmaxLoss<$Margin>);

        impl $Loss {
            /// A loss over the cosine similarity `distance`, whose weights `vars` makes or holds.
            ///
            /// # Errors
            /// [`Error::Unsupported`](dml_core::Error::Unsupported) unless the distance is the cosine similarity,
            /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for numbers outside of their range,
            /// [`Error::Tensor`](dml_core::Error::Tensor) if `vars` holds a `W` of another shape.
            pub fn new(
                config: $Config,
                distance: impl dml_core::Distance + 'static,
                vars: candle_nn::VarBuilder<'_>,
            ) -> dml_core::Result<Self> {
                $crate::classes::margin_softmax::MarginSoftmaxLoss::over_cosines(
                    $crate::classes::class_weights::Classes::new(
                        stringify!($Loss),
                        config.num_classes,
                        config.embedding_size,
                    ),
                    ($make)(config.margin)?,
                    config.scale,
                    config.weight_init_func,
                    distance,
                    &vars,
                )
                .map(Self)
            }
        }

        $crate::classes::over_classes::loss_over_classes!(
            $Loss<$crate::classes::margin_softmax::MarginSoftmaxLoss<$Margin>>
        );
    };
}
pub(crate) use margin_softmax_loss;
