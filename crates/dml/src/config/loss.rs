//! Losses by name, with distance, reducer and regularizer: everything that makes an [`Objective`].

use std::sync::Arc;

use dml_core::{Distance, Error, Loss, Objective, Reducer};
use dml_losses::{
    CircleLoss, CircleLossConfig, ContrastiveLoss, ContrastiveLossConfig,
    GeneralizedLiftedStructureLoss, GeneralizedLiftedStructureLossConfig, LiftedStructureLoss,
    LiftedStructureLossConfig, MultiSimilarityLoss, MultiSimilarityLossConfig, NPairsLoss,
    NTXentLoss, NTXentLossConfig, SignalToNoiseRatioContrastiveLoss,
    SignalToNoiseRatioContrastiveLossConfig, SupConLoss, SupConLossConfig, TripletMarginLoss,
    TripletMarginLossConfig, TupletMarginLoss, TupletMarginLossConfig,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::parts::Parts;
use super::{ConfigError, DistanceConfig, NoArguments, ReducerConfig, RegularizerConfig, registry};
use crate::defaults::{avg_non_zero, cosine, dot, lp, mean, snr};

/// Name(arguments): constructor, default distance, default reducer.
macro_rules! losses {
    ($($Name:ident($Config:ty): $new:expr, $distance:path, $reducer:path;)*) => {
        registry! {
            /// A loss and its own arguments.
            pub enum LossKind {
                $($Name($Config),)*
            }
        }

        impl LossKind {
            fn build(&self, distance: Arc<dyn Distance>) -> Result<Arc<dyn Loss>, ConfigError> {
                Ok(match self {
                    $(Self::$Name(config) => Arc::new($new(config.clone(), distance)?),)*
                })
            }

            fn default_distance(&self) -> Arc<dyn Distance> {
                match self {
                    $(Self::$Name(_) => $distance(),)*
                }
            }

            fn default_reducer(&self) -> Arc<dyn Reducer> {
                match self {
                    $(Self::$Name(_) => $reducer(),)*
                }
            }
        }
    };
}

losses! {
    CircleLoss(CircleLossConfig): CircleLoss::new, cosine, avg_non_zero;
    ContrastiveLoss(ContrastiveLossConfig): ContrastiveLoss::new, lp, avg_non_zero;
    GeneralizedLiftedStructureLoss(GeneralizedLiftedStructureLossConfig): GeneralizedLiftedStructureLoss::new, lp, mean;
    LiftedStructureLoss(LiftedStructureLossConfig): LiftedStructureLoss::new, lp, mean;
    MultiSimilarityLoss(MultiSimilarityLossConfig): MultiSimilarityLoss::new, cosine, mean;
    NPairsLoss(NoArguments): |_, distance| Ok::<_, Error>(NPairsLoss::new(distance)), dot, mean;
    NTXentLoss(NTXentLossConfig): NTXentLoss::new, cosine, mean;
    SignalToNoiseRatioContrastiveLoss(SignalToNoiseRatioContrastiveLossConfig): SignalToNoiseRatioContrastiveLoss::new, snr, avg_non_zero;
    SupConLoss(SupConLossConfig): SupConLoss::new, cosine, avg_non_zero;
    TripletMarginLoss(TripletMarginLossConfig): TripletMarginLoss::new, lp, avg_non_zero;
    TupletMarginLoss(TupletMarginLossConfig): TupletMarginLoss::new, cosine, mean;
}

/// A loss with its collaborators; what is `None` has PML's default for that loss.
#[derive(Clone, Debug, PartialEq)]
pub struct LossConfig {
    /// The loss and its own arguments.
    pub loss: LossKind,
    /// How far apart embeddings are.
    pub distance: Option<DistanceConfig>,
    /// How the values of the loss become one number.
    pub reducer: Option<ReducerConfig>,
    /// A penalty on the embeddings.
    pub embedding_regularizer: Option<RegularizerConfig>,
    /// What the penalty is multiplied by; `None` is 1.
    pub embedding_reg_weight: Option<f64>,
}

impl LossConfig {
    /// The loss with PML's default collaborators.
    #[must_use]
    pub fn new(loss: LossKind) -> Self {
        Self {
            loss,
            distance: None,
            reducer: None,
            embedding_regularizer: None,
            embedding_reg_weight: None,
        }
    }

    /// A loss from JSON, or from its bare name.
    ///
    /// # Errors
    /// As [`from_text`](super::from_text).
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        super::from_text(text)
    }

    /// The loss with its reducer and regularizer, without a miner.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<Objective, ConfigError> {
        let distance =
            DistanceConfig::build_or(self.distance.as_ref(), || self.loss.default_distance())?;
        let reducer =
            ReducerConfig::build_or(self.reducer.as_ref(), || self.loss.default_reducer())?;
        let objective = Objective::new(self.loss.build(distance)?, reducer);
        Ok(match &self.embedding_regularizer {
            Some(regularizer) => objective.with_regularizer(
                regularizer.build()?,
                self.embedding_reg_weight.unwrap_or(1.0),
            ),
            None => objective,
        })
    }
}

impl<'de> Deserialize<'de> for LossConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut parts = Parts::deserialize(deserializer)?;
        Ok(Self {
            distance: parts.take("distance")?,
            reducer: parts.take("reducer")?,
            embedding_regularizer: parts.take("embedding_regularizer")?,
            embedding_reg_weight: parts.take("embedding_reg_weight")?,
            loss: parts.rest()?,
        })
    }
}

impl Serialize for LossConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Parts::of(&self.loss)?
            .put("distance", self.distance.as_ref())?
            .put("reducer", self.reducer.as_ref())?
            .put("embedding_regularizer", self.embedding_regularizer.as_ref())?
            .put("embedding_reg_weight", self.embedding_reg_weight.as_ref())?
            .serialize(serializer)
    }
}
