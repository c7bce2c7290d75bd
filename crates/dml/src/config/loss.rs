//! Losses by name, with distance, reducer and regularizer: everything that makes an [`Objective`].

use std::sync::Arc;

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use dml_core::{Distance, Error, Loss, Objective, Reducer, check};
// Every loss: a new one is its line in the registry below and nothing else here.
use dml_losses::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::parts::Parts;
use super::wrapper::{CrossBatchMemoryConfig, MultipleLossesConfig, SelfSupervisedLossConfig};
use super::{ConfigError, DistanceConfig, NoArguments, ReducerConfig, RegularizerConfig, registry};
use crate::defaults::{avg_non_zero, cosine, divisor, dot, lp, mean, snr, squared_lp};

/// Name(arguments): constructor, default distance, default reducer, what it learns.
///
/// A loss that compares no rows has `_` for its distance, and its constructor takes none. What a loss learns is nothing,
/// `parameters`, or `class_weights`, which may be regularized; a constructor of one that learns takes a builder of
/// variables.
macro_rules! losses {
    ($($Name:ident($Config:ty): $new:expr, $distance:tt, $reducer:path $(, $learns:ident)?;)*) => {
        registry! {
            /// A loss and its own arguments.
            pub enum LossKind {
                $($Name($Config),)*
            }
        }

        impl LossKind {
            fn build(
                &self,
                distance: Option<&Arc<dyn Distance>>,
                vars: &VarBuilder<'_>,
            ) -> Result<Arc<dyn Loss>, ConfigError> {
                Ok(match self {
                    $(Self::$Name(config) => {
                        Arc::new(construct!($new, config.clone(), $distance, distance, vars $(, $learns)?))
                    })*
                })
            }

            fn default_reducer(&self) -> Arc<dyn Reducer> {
                match self {
                    $(Self::$Name(_) => $reducer(),)*
                }
            }

            /// What the loss of that name takes besides its own arguments and a reducer.
            fn takes(name: &str) -> Takes {
                match name {
                    $(stringify!($Name) => takes!($distance $(, $learns)?),)*
                    _ => takes!(any),
                }
            }
        }
    };
}

/// A loss from its constructor and what that takes.
macro_rules! construct {
    ($new:expr, $config:expr, _, $given:ident, $vars:ident) => {{
        let _ = ($given, $vars);
        $new($config)?
    }};
    ($new:expr, $config:expr, _, $given:ident, $vars:ident, $learns:ident) => {{
        let _ = $given;
        $new($config, $vars.clone())?
    }};
    ($new:expr, $config:expr, $default:ident, $given:ident, $vars:ident) => {{
        let _ = $vars;
        $new($config, $given.cloned().unwrap_or_else($default))?
    }};
    ($new:expr, $config:expr, $default:ident, $given:ident, $vars:ident, $learns:ident) => {
        $new(
            $config,
            $given.cloned().unwrap_or_else($default),
            $vars.clone(),
        )?
    };
}

macro_rules! takes {
    (_ $(, $learns:ident)?) => {
        Takes {
            distance: false,
            weight_regularizer: false,
        }
    };
    ($distance:ident, class_weights) => {
        Takes {
            distance: true,
            weight_regularizer: true,
        }
    };
    ($distance:ident $(, parameters)?) => {
        Takes {
            distance: true,
            weight_regularizer: false,
        }
    };
}

/// What a loss takes besides its own arguments and a reducer.
struct Takes {
    /// A distance, and a penalty on the embeddings.
    distance: bool,
    /// A penalty on the weights of its classes.
    weight_regularizer: bool,
}

losses! {
    AngularLoss(AngularLossConfig): AngularLoss::new, lp, mean;
    ArcFaceLoss(ArcFaceLossConfig): ArcFaceLoss::new, cosine, mean, class_weights;
    CentroidTripletLoss(CentroidTripletLossConfig): CentroidTripletLoss::new, lp, avg_non_zero;
    CircleLoss(CircleLossConfig): CircleLoss::new, cosine, avg_non_zero;
    ContrastiveLoss(ContrastiveLossConfig): ContrastiveLoss::new, lp, avg_non_zero;
    CosFaceLoss(CosFaceLossConfig): CosFaceLoss::new, cosine, mean, class_weights;
    CrossBatchMemory(CrossBatchMemoryConfig): |config: CrossBatchMemoryConfig, vars| config.build_memory(&vars), _, mean, parameters;
    DynamicSoftMarginLoss(DynamicSoftMarginLossConfig): DynamicSoftMarginLoss::new, lp, mean;
    FastAPLoss(FastAPLossConfig): FastAPLoss::new, squared_lp, mean;
    GeneralizedLiftedStructureLoss(GeneralizedLiftedStructureLossConfig): GeneralizedLiftedStructureLoss::new, lp, mean;
    HistogramLoss(HistogramLossConfig): HistogramLoss::new, cosine, mean;
    InstanceLoss(InstanceLossConfig): InstanceLoss::new, cosine, mean;
    IntraPairVarianceLoss(IntraPairVarianceLossConfig): IntraPairVarianceLoss::new, cosine, mean;
    LargeMarginSoftmaxLoss(LargeMarginSoftmaxLossConfig): LargeMarginSoftmaxLoss::new, cosine, mean, class_weights;
    LiftedStructureLoss(LiftedStructureLossConfig): LiftedStructureLoss::new, lp, mean;
    ManifoldLoss(ManifoldLossConfig): ManifoldLoss::new, cosine, mean, parameters;
    MarginLoss(MarginLossConfig): MarginLoss::new, lp, divisor, parameters;
    MultipleLosses(MultipleLossesConfig): |config: MultipleLossesConfig, vars| config.build_parts(&vars), _, mean, parameters;
    MultiSimilarityLoss(MultiSimilarityLossConfig): MultiSimilarityLoss::new, cosine, mean;
    NCALoss(NCALossConfig): NCALoss::new, squared_lp, mean;
    NormalizedSoftmaxLoss(NormalizedSoftmaxLossConfig): NormalizedSoftmaxLoss::new, dot, mean, class_weights;
    NPairsLoss(NoArguments): |_, distance| Ok::<_, Error>(NPairsLoss::new(distance)), dot, mean;
    NTXentLoss(NTXentLossConfig): NTXentLoss::new, cosine, mean;
    P2SGradLoss(P2SGradLossConfig): |config, _, vars| P2SGradLoss::new(config, vars), lp, mean, parameters;
    PNPLoss(PNPLossConfig): PNPLoss::new, cosine, mean;
    ProxyAnchorLoss(ProxyAnchorLossConfig): ProxyAnchorLoss::new, cosine, divisor, class_weights;
    ProxyNCALoss(ProxyNCALossConfig): ProxyNCALoss::new, squared_lp, mean, class_weights;
    RankedListLoss(RankedListLossConfig): RankedListLoss::new, lp, mean;
    SelfSupervisedLoss(SelfSupervisedLossConfig): |config: SelfSupervisedLossConfig, vars| config.build_views(&vars), _, mean, parameters;
    SignalToNoiseRatioContrastiveLoss(SignalToNoiseRatioContrastiveLossConfig): SignalToNoiseRatioContrastiveLoss::new, snr, avg_non_zero;
    SmoothAPLoss(SmoothAPLossConfig): SmoothAPLoss::new, cosine, mean;
    SoftTripleLoss(SoftTripleLossConfig): SoftTripleLoss::new, cosine, mean, class_weights;
    SphereFaceLoss(SphereFaceLossConfig): SphereFaceLoss::new, cosine, mean, class_weights;
    SubCenterArcFaceLoss(SubCenterArcFaceLossConfig): SubCenterArcFaceLoss::new, cosine, mean, class_weights;
    SupConLoss(SupConLossConfig): SupConLoss::new, cosine, avg_non_zero;
    ThresholdConsistentMarginLoss(ThresholdConsistentMarginLossConfig): ThresholdConsistentMarginLoss::new, cosine, mean;
    TripletMarginLoss(TripletMarginLossConfig): TripletMarginLoss::new, lp, avg_non_zero;
    TupletMarginLoss(TupletMarginLossConfig): TupletMarginLoss::new, cosine, mean;
    VICRegLoss(VICRegLossConfig): VICRegLoss::new, _, mean;
}

impl LossKind {
    /// The sizes that the loss of that name can't do without, as its arguments.
    ///
    /// ```
    /// let sizes = dml::config::LossKind::sizes("P2SGradLoss", 10, 128);
    /// assert_eq!(serde_json::to_string(&sizes)?, r#"{"descriptors_dim":128,"num_classes":10}"#);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn sizes(name: &str, num_classes: usize, embedding_size: usize) -> Map<String, Value> {
        let sizes: &[(&str, usize)] = match name {
            "P2SGradLoss" => &[
                ("descriptors_dim", embedding_size),
                ("num_classes", num_classes),
            ],
            "ManifoldLoss" => &[("l", embedding_size)],
            "CrossBatchMemory" => &[("embedding_size", embedding_size)],
            _ if Self::takes(name).weight_regularizer => &[
                ("embedding_size", embedding_size),
                ("num_classes", num_classes),
            ],
            _ => &[],
        };
        let entry = |(key, size): &(&str, usize)| ((*key).to_owned(), Value::from(*size));
        sizes.iter().map(entry).collect()
    }
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
    /// A penalty on the weights of the classes, for losses that learn them.
    pub weight_regularizer: Option<RegularizerConfig>,
    /// What that penalty is multiplied by; `None` is 1.
    pub weight_reg_weight: Option<f64>,
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
            weight_regularizer: None,
            weight_reg_weight: None,
        }
    }

    /// A loss from JSON, or from its bare name.
    ///
    /// # Errors
    /// As [`from_text`](super::from_text).
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        super::from_text(text)
    }

    /// The loss with its reducer and regularizers, without a miner.
    ///
    /// What it learns is drawn from seed 0, in single precision, on the CPU.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<Objective, ConfigError> {
        self.build_with(&SeededVars::new(0).builder(DType::F32, &Device::Cpu))
    }

    /// The same with what the loss learns made by `vars`, or found there.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range, or if `vars` holds a variable of another shape.
    pub fn build_with(&self, vars: &VarBuilder<'_>) -> Result<Objective, ConfigError> {
        let distance = self.distance.as_ref();
        let distance = distance.map(|distance| distance.build_with(&vars.pp("distance")));
        let distance = distance.transpose()?;
        let loss = self.loss.build(distance.as_ref(), vars)?;
        let loss: Arc<dyn Loss> = match distance {
            Some(distance) if !distance.parameters().is_empty() => {
                Arc::new(LearnedDistance::new(loss, distance))
            }
            _ => loss,
        };
        let reducer =
            ReducerConfig::build_or(self.reducer.as_ref(), || self.loss.default_reducer())?;
        let mut objective = Objective::new(loss, reducer);
        if let Some(regularizer) = &self.embedding_regularizer {
            let weight = self.embedding_reg_weight.unwrap_or(1.0);
            check::finite("embedding_reg_weight", weight)?;
            objective = objective.with_regularizer(regularizer.build()?, weight);
        }
        if let Some(regularizer) = &self.weight_regularizer {
            let weight = self.weight_reg_weight.unwrap_or(1.0);
            check::finite("weight_reg_weight", weight)?;
            objective = objective.with_weight_regularizer(regularizer.build()?, weight)?;
        }
        Ok(objective)
    }
}

impl<'de> Deserialize<'de> for LossConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut parts = Parts::deserialize(deserializer)?;
        let takes = LossKind::takes(parts.name());
        Ok(Self {
            distance: parts.take_if(takes.distance, "distance")?,
            reducer: parts.take("reducer")?,
            embedding_regularizer: parts.take_if(takes.distance, "embedding_regularizer")?,
            embedding_reg_weight: parts.take_if(takes.distance, "embedding_reg_weight")?,
            weight_regularizer: parts.take_if(takes.weight_regularizer, "weight_regularizer")?,
            weight_reg_weight: parts.take_if(takes.weight_regularizer, "weight_reg_weight")?,
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
            .put("weight_regularizer", self.weight_regularizer.as_ref())?
            .put("weight_reg_weight", self.weight_reg_weight.as_ref())?
            .serialize(serializer)
    }
}
