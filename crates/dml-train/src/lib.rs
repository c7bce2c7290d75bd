#![doc = include_str!("../README.md")]

mod closure;
mod config;
mod error;

pub mod schedule;

pub mod clip;
mod host_numbers;
mod parameter_group;
mod parameter_rules;

mod criterion;
mod named_module;

mod candle_optimizer;

mod method;

mod model;

pub mod classifier;

pub mod cascaded_embeddings;
pub mod deep_adversarial_metric_learning;
pub mod metric_loss_only;
pub mod train_with_classifier;
pub mod two_stream_metric_loss;
pub mod unsupervised_embeddings_using_augmentations;

mod cached_features;
mod gradient_cache;
pub mod loader;

pub mod mixed_precision;
pub mod subset_batch_miner;

pub mod collapse;
pub mod ema;
mod progress;

mod hook;
pub mod validation;

pub mod checkpoint;
pub mod log;

mod builder;
mod trainer;

pub use dml_core;

pub use error::{AnyError, NonFinite, Result, TrainError};

pub use clip::Clip;
pub use parameter_group::ParameterGroup;
pub use parameter_rules::{
    Learns, ParameterPlan, ParameterRule, ParameterRules, ParameterRulesConfig, ParameterSetting,
    PlannedParameter,
};
pub use schedule::{Pace, Schedule};

pub use criterion::Criterion;
pub use named_module::NamedModule;

pub use candle_optimizer::CandleOptimizer;

pub use method::{LossValue, Losses, Method};

pub use cascaded_embeddings::{CascadedEmbeddings, Stage};
pub use classifier::Classifier;
pub use deep_adversarial_metric_learning::{
    DeepAdversarialMetricLearning, DeepAdversarialMetricLearningConfig,
};
pub use metric_loss_only::MetricLossOnly;
pub use train_with_classifier::TrainWithClassifier;
pub use two_stream_metric_loss::TwoStreamMetricLoss;
pub use unsupervised_embeddings_using_augmentations::UnsupervisedEmbeddingsUsingAugmentations;

pub use cached_features::{CachedFeatures, CachedFeaturesConfig};
pub use loader::{Loader, Position};

pub use mixed_precision::{LossScaleConfig, MixedPrecision};
pub use subset_batch_miner::{ChooseRows, MaximumLoss, SubsetBatchMiner};

pub use collapse::CollapseStatistics;
pub use ema::{Ema, EmaBuffers, EmaConfig};
pub use progress::{Epoch, Iteration, Norms};

pub use hook::{Flow, Hook, HookResult, NonFiniteLoss, RefuseNonFinite, StopWhen};
pub use validation::{Validation, ValidationConfig};

pub use checkpoint::{Checkpoints, CheckpointsConfig, DamagedCheckpoint};

pub use builder::TrainerBuilder;
pub use trainer::{Ended, Trainer};
