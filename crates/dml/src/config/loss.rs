//! Losses by name, with distance, reducer and regularizer: everything that makes an [`Objective`].

use std::sync::Arc;

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use dml_core::{Distance, Error, Loss, Objective, Reducer, check};
// Every loss: a new one is its line in the registry below and nothing else here.
use dml_losses::*;
use serde_json::json;

use super::parts::read_with_parts;
use super::profile::of_classes;
use super::wrapper::{CrossBatchMemorySpec, MultipleLossesSpec, SelfSupervisedLossSpec};
use super::{ConfigError, DistanceConfig, NoArguments, ReducerConfig, RegularizerConfig, registry};
use crate::defaults::{avg_non_zero, cosine, divisor, dot, lp, mean, snr, squared_lp};

/// Name(arguments): constructor, default distance, default reducer, what it learns, and fields of its profile in braces.
///
/// A loss that compares no rows has `_` for its distance, and its constructor takes none. What a loss learns is nothing,
/// `parameters`, or `class_weights`, which may be regularized; a constructor of one that learns takes a builder of
/// variables.
macro_rules! losses {
    (
        $($Name:ident($Config:ty): $new:expr, $distance:tt, $reducer:path $(, $learns:ident)?
            $({ $($profile:tt)* })?;)*
    ) => {
        registry! {
            /// A loss and its own arguments.
            pub enum LossKind {
                $($Name($Config) $({ $($profile)* })?,)*
            }
        }

        impl LossKind {
            /// The loss over that distance, or over its own default; what it learns is made by `vars`.
            ///
            /// # Errors
            /// [`ConfigError::Component`] for arguments outside of their range.
            pub fn build_over(
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

            /// The distance of the loss where a configuration names none; `None` if it takes none.
            #[must_use]
            pub fn default_distance(&self) -> Option<Arc<dyn Distance>> {
                match self {
                    $(Self::$Name(_) => default_distance!($distance),)*
                }
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

macro_rules! default_distance {
    (_) => {
        None
    };
    ($default:ident) => {
        Some($default())
    };
}

macro_rules! takes {
    (_ $(, $learns:ident)?) => {
        Takes::new(false, false)
    };
    ($distance:ident, class_weights) => {
        Takes::new(true, true)
    };
    ($distance:ident $(, parameters)?) => {
        Takes::new(true, false)
    };
}

/// What a loss takes besides its own arguments and a reducer.
struct Takes {
    /// A distance, and a penalty on the embeddings.
    distance: bool,
    /// A penalty on the weights of its classes.
    weight_regularizer: bool,
}

impl Takes {
    fn new(distance: bool, weight_regularizer: bool) -> Self {
        Self {
            distance,
            weight_regularizer,
        }
    }
}

losses! {
    AngularLoss(AngularLossConfig): AngularLoss::new, lp, mean;
    ArcFaceLoss(ArcFaceLossConfig): ArcFaceLoss::new, cosine, mean, class_weights {
        required: of_classes,
        examples: |_| json!([{}, {
            "weight_init_func": {"name": "TorchInitWrapper", "init_func": "trunc_normal_"},
            "weight_regularizer": {"name": "RegularFaceRegularizer"}, "weight_reg_weight": 0.5,
        }]),
    };
    CentroidTripletLoss(CentroidTripletLossConfig): CentroidTripletLoss::new, lp, avg_non_zero { reads_all_distances: false };
    CircleLoss(CircleLossConfig): CircleLoss::new, cosine, avg_non_zero { has_constant_factors: true };
    ContrastiveLoss(ContrastiveLossConfig): ContrastiveLoss::new, lp, avg_non_zero {
        examples: |_| json!([{}, {"distance": {"name": "CosineSimilarity"}, "pos_margin": 1, "neg_margin": 0}]),
    };
    CosFaceLoss(CosFaceLossConfig): CosFaceLoss::new, cosine, mean, class_weights { required: of_classes };
    CrossBatchMemory(CrossBatchMemorySpec): |config: CrossBatchMemorySpec, vars| config.build_memory(&vars), _, mean, parameters {
        required: |sizes| json!({"loss": {"name": "ContrastiveLoss"}, "embedding_size": sizes.embedding_size}),
        examples: |_| json!([{}, {"memory_size": 16, "miner": {"name": "PairMarginMiner"}}]),
        has_constant_factors: true,
    };
    DecoupledContrastiveLoss(DecoupledContrastiveLossConfig): DecoupledContrastiveLoss::new, cosine, mean;
    DynamicSoftMarginLoss(DynamicSoftMarginLossConfig): DynamicSoftMarginLoss::new, lp, mean { has_constant_factors: true };
    FastAPLoss(FastAPLossConfig): FastAPLoss::new, squared_lp, mean;
    GeneralizedLiftedStructureLoss(GeneralizedLiftedStructureLossConfig): GeneralizedLiftedStructureLoss::new, lp, mean;
    HistogramLoss(HistogramLossConfig): HistogramLoss::new, cosine, mean { examples: |_| json!([{"n_bins": 10}, {"delta": 0.1}]) };
    InstanceLoss(InstanceLossConfig): InstanceLoss::new, cosine, mean { reads_positions: true };
    IntraPairVarianceLoss(IntraPairVarianceLossConfig): IntraPairVarianceLoss::new, cosine, mean;
    LargeMarginSoftmaxLoss(LargeMarginSoftmaxLossConfig): LargeMarginSoftmaxLoss::new, cosine, mean, class_weights { required: of_classes };
    LiftedStructureLoss(LiftedStructureLossConfig): LiftedStructureLoss::new, lp, mean;
    ManifoldLoss(ManifoldLossConfig): ManifoldLoss::new, cosine, mean, parameters {
        required: |sizes| json!({"l": sizes.embedding_size}),
        examples: |sizes| json!([{"K": sizes.num_classes + 1}]),
    };
    MarginLoss(MarginLossConfig): MarginLoss::new, lp, divisor, parameters { examples: |sizes| json!([{"num_classes": sizes.num_classes, "learn_beta": true, "nu": 0.1}]) };
    MultipleLosses(MultipleLossesSpec): |config: MultipleLossesSpec, vars| config.build_parts(&vars), _, mean, parameters {
        required: |_| json!({"losses": [{"name": "ContrastiveLoss"}, {"name": "SupConLoss"}]}),
        examples: |_| json!([{}, {"weights": [1, 0.5]}]),
    };
    MultiSimilarityLoss(MultiSimilarityLossConfig): MultiSimilarityLoss::new, cosine, mean;
    NCALoss(NCALossConfig): NCALoss::new, squared_lp, mean;
    NormalizedSoftmaxLoss(NormalizedSoftmaxLossConfig): NormalizedSoftmaxLoss::new, dot, mean, class_weights { required: of_classes };
    NPairsLoss(NoArguments): |_, distance| Ok::<_, Error>(NPairsLoss::new(distance)), dot, mean { reads_positions: true };
    NTXentLoss(NTXentLossConfig): NTXentLoss::new, cosine, mean;
    P2SGradLoss(P2SGradLossConfig): |config, _, vars| P2SGradLoss::new(config, vars), lp, mean, parameters {
        required: |sizes| json!({"descriptors_dim": sizes.embedding_size, "num_classes": sizes.num_classes}),
    };
    PNPLoss(PNPLossConfig): PNPLoss::new, cosine, mean;
    ProxyAnchorLoss(ProxyAnchorLossConfig): ProxyAnchorLoss::new, cosine, divisor, class_weights { required: of_classes };
    ProxyNCALoss(ProxyNCALossConfig): ProxyNCALoss::new, squared_lp, mean, class_weights { required: of_classes };
    RankedListLoss(RankedListLossConfig): RankedListLoss::new, lp, mean { required: |_| json!({"margin": 0.4, "Tn": 10}) };
    SelfSupervisedLoss(SelfSupervisedLossSpec): |config: SelfSupervisedLossSpec, vars| config.build_views(&vars), _, mean, parameters { required: |_| json!({"loss": {"name": "SupConLoss"}}) };
    SignalToNoiseRatioContrastiveLoss(SignalToNoiseRatioContrastiveLossConfig): SignalToNoiseRatioContrastiveLoss::new, snr, avg_non_zero { examples: |_| json!([{}, {"neg_margin": 9}]) };
    SmoothAPLoss(SmoothAPLossConfig): SmoothAPLoss::new, cosine, mean;
    SoftTripleLoss(SoftTripleLossConfig): SoftTripleLoss::new, cosine, mean, class_weights { required: of_classes };
    SphereFaceLoss(SphereFaceLossConfig): SphereFaceLoss::new, cosine, mean, class_weights { required: of_classes };
    SubCenterArcFaceLoss(SubCenterArcFaceLossConfig): SubCenterArcFaceLoss::new, cosine, mean, class_weights { required: of_classes };
    SupConLoss(SupConLossConfig): SupConLoss::new, cosine, avg_non_zero;
    ThresholdConsistentMarginLoss(ThresholdConsistentMarginLossConfig): ThresholdConsistentMarginLoss::new, cosine, mean;
    TripletMarginLoss(TripletMarginLossConfig): TripletMarginLoss::new, lp, avg_non_zero {
        examples: |sizes| json!([
            {},
            {"swap": true},
            {"smooth_loss": true},
            {"triplets_per_anchor": 3},
            {
                "distance": {"name": "LpDistance", "p": 3},
                "reducer": {"name": "PerAnchorReducer", "reducer": {"name": "ThresholdReducer", "low": 0.1}},
                "embedding_regularizer": {"name": "LpRegularizer"},
                "embedding_reg_weight": 0.5,
            },
            {"distance": {"name": "MahalanobisDistance", "embedding_size": sizes.embedding_size, "rank": 2}},
        ]),
    };
    TupletMarginLoss(TupletMarginLossConfig): TupletMarginLoss::new, cosine, mean;
    VICRegLoss(VICRegLossConfig): VICRegLoss::new, _, mean { squares_embeddings: true };
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
        let loss = self.loss.build_over(distance.as_ref(), vars)?;
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

/// Whether the loss of that name takes a distance, and a penalty on the embeddings.
pub(super) fn takes_distance(name: &str) -> bool {
    LossKind::takes(name).distance
}

/// Whether the loss of that name takes a penalty on the weights of its classes.
pub(super) fn takes_weights(name: &str) -> bool {
    LossKind::takes(name).weight_regularizer
}

read_with_parts! {
    LossConfig {
        distance if takes_distance,
        reducer,
        embedding_regularizer if takes_distance,
        embedding_reg_weight if takes_distance,
        weight_regularizer if takes_weights,
        weight_reg_weight if takes_weights,
        .. loss
    }
}
