//! What losses over pairs share: configuration, constructor, checks, and terms that are a formula over the pairs.

use std::sync::Arc;

use candle_core::Tensor;
use dml_core::{Batch, Distance, Loss, Over, Result, Term, Terms, Tuples};

use crate::machinery::anchor_formula::{AnchorFormula, term_of_anchors};
use crate::machinery::anchor_pairs::AnchorPairs;
use crate::machinery::pair_set::{PairSet, PairSums};
use crate::machinery::requirements;

/// The pairs of a batch, and the distance that compares them.
#[derive(Debug)]
pub(crate) struct ComparedPairs<'a> {
    pairs: AnchorPairs,
    tuples: &'a Tuples,
    distance: &'a Arc<dyn Distance>,
}

impl ComparedPairs<'_> {
    /// The terms that `f` makes of the pairs; NaN if a row that takes part is not finite.
    pub(crate) fn terms<L: Loss>(
        loss: &L,
        component: &'static str,
        (batch, tuples): (&Batch, &Tuples),
        distance: &Arc<dyn Distance>,
        pairs: impl FnOnce(&dyn Loss, &'static str, &Batch, &Tuples) -> Result<AnchorPairs>,
        f: impl FnOnce(&ComparedPairs<'_>) -> Result<Terms>,
    ) -> Result<Terms> {
        requirements::check(loss, component, batch, tuples)?;
        if let Some(terms) = batch.spoiled(tuples)? {
            return Ok(terms);
        }
        f(&ComparedPairs {
            pairs: pairs(loss, component, batch, tuples)?,
            tuples,
            distance,
        })
    }

    pub(crate) fn batch(&self) -> &Batch {
        self.pairs.batch()
    }

    /// 1 where larger entries of the matrix are farther, −1 where they are closer.
    pub(crate) fn sign(&self) -> f64 {
        self.distance.order().sign()
    }

    /// A term `loss` with a value for each anchor.
    pub(crate) fn anchors(&self, formula: &impl AnchorFormula) -> Result<Terms> {
        Ok(term_of_anchors("loss", formula, &self.matrix()?, &self.pairs)?.into())
    }

    /// As [`anchors`](Self::anchors); empty without any positive or any negative pair.
    pub(crate) fn anchors_with_both(&self, formula: &impl AnchorFormula) -> Result<Terms> {
        if self.pairs.lacks_a_kind() {
            return Ok(Term::empty("loss").into());
        }
        self.anchors(formula)
    }

    /// A term `loss` with a value for each positive pair; empty without any positive or any negative pair.
    pub(crate) fn positives(&self, formula: impl PairSums) -> Result<Terms> {
        if self.pairs.lacks_a_kind() {
            return Ok(Term::empty("loss").into());
        }
        let set = self.set("loss", Over::PositivePairs, self.matrix()?);
        Ok(set.term(formula)?.into())
    }

    /// A term `pos_loss` with a value for each positive pair and a term `neg_loss` with a value for each negative pair.
    pub(crate) fn both_kinds<F: PairSums>(&self, positive: F, negative: F) -> Result<Terms> {
        let matrix = self.matrix()?;
        let positives = self.set("pos_loss", Over::PositivePairs, matrix.clone());
        let negatives = self.set("neg_loss", Over::NegativePairs, matrix);
        Ok([positives.term(positive)?, negatives.term(negative)?]
            .into_iter()
            .collect())
    }

    /// Distances `[Q, R]`.
    fn matrix(&self) -> Result<Tensor> {
        self.batch().distances(self.distance)
    }

    fn set(&self, name: &'static str, over: Over, matrix: Tensor) -> PairSet {
        PairSet {
            name,
            over,
            matrix,
            pairs: self.pairs.clone(),
            tuples: self.tuples.clone(),
        }
    }
}

/// Declares a loss over pairs and its configuration.
///
/// * A field of the configuration is a number; `positive` or `finite` is the function of [`check`](dml_core::check) that
///   it has to pass, and what follows is its default.
/// * `pairs` says whether repeated pairs count as often as they are listed (`listed`) or once (`distinct`), by the
///   constructors of [`AnchorPairs`].
/// * `cosine` or `signal_to_noise`, if it is there, is why the distance has to be of that kind.
/// * `terms` is what the loss makes of its configuration and of [`ComparedPairs`].
macro_rules! pair_loss {
    (
        $(#[$of_config:meta])*
        pub struct $Config:ident {
            $($(#[$of_field:meta])* $field:ident: $check:ident = $default:expr,)*
        }

        $(#[$of_loss:meta])*
        pub struct $Loss:ident { pairs: $pairs:ident, reads_weights: $reads_weights:literal }

        $(#[$of_new:meta])*
        fn new($($requirement:ident: $reason:literal)?);

        fn terms($config:ident, $compared:ident) $terms:block
    ) => {
        dml_core::config! {
            $(#[$of_config])*
            pub struct $Config {
                $($(#[$of_field])* pub $field: f64 = $default,)*
            }
        }

        $(#[$of_loss])*
        #[derive(Clone, Debug)]
        pub struct $Loss {
            config: $Config,
            distance: std::sync::Arc<dyn dml_core::Distance>,
        }

        impl $Loss {
            $(#[$of_new])*
            pub fn new(
                config: $Config,
                distance: impl dml_core::Distance + 'static,
            ) -> dml_core::Result<Self> {
                $($crate::machinery::requirements::$requirement(stringify!($Loss), &distance, $reason)?;)?
                $(dml_core::check::$check(stringify!($field), config.$field)?;)*
                let distance = std::sync::Arc::new(distance);
                Ok(Self { config, distance })
            }
        }

        impl dml_core::Loss for $Loss {
            fn terms(
                &self,
                batch: &dml_core::Batch,
                tuples: &dml_core::Tuples,
            ) -> dml_core::Result<dml_core::Terms> {
                let $config = &self.config;
                $crate::pairs::pair_loss::ComparedPairs::terms(
                    self,
                    stringify!($Loss),
                    (batch, tuples),
                    &self.distance,
                    $crate::machinery::anchor_pairs::AnchorPairs::$pairs,
                    |$compared| $terms,
                )
            }

            fn reads_weights(&self) -> bool {
                $reads_weights
            }
        }
    };
}
pub(crate) use pair_loss;
