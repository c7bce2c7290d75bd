//! Reducers by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use dml_core::Reducer;
use dml_reducers::{
    AvgNonZeroReducer, AvgNonZeroReducerConfig, ClassWeightedReducer, ClassWeightedReducerConfig,
    DivisorReducer, DoNothingReducer, MeanReducer, MultipleReducers, PerAnchorReducer, SumReducer,
    ThresholdReducer, ThresholdReducerConfig,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{ConfigError, NoArguments, registry};
use crate::defaults::mean;

pub use dml_reducers::Aggregation;

registry! {
    /// A reducer and its arguments.
    pub enum ReducerConfig {
        MeanReducer(NoArguments),
        SumReducer(NoArguments),
        ThresholdReducer(ThresholdReducerConfig) {
            required: |_| json!({"low": 0.0}),
            examples: |_| json!([{}, {"low": 0.1, "high": 2}]),
        },
        AvgNonZeroReducer(AvgNonZeroReducerConfig),
        ClassWeightedReducer(ClassWeightedReducerConfig) {
            required: |sizes| {
                let weights = [1.0, 2.0, 0.5, 0.0].into_iter().cycle();
                json!({"weights": weights.take(sizes.num_classes).collect::<Vec<f64>>()})
            },
        },
        DivisorReducer(NoArguments),
        PerAnchorReducer(PerAnchorReducerSpec),
        MultipleReducers(MultipleReducersSpec) {
            required: |_| json!({"reducers": {"loss": {"name": "AvgNonZeroReducer"}}}),
            examples: |_| json!([{}, {"reducers": {"loss": {"name": "ThresholdReducer", "low": 0.1}}}]),
        },
        DoNothingReducer(NoArguments) { reduces: false },
    }
}

impl ReducerConfig {
    /// The reducer that was asked for, or the default.
    pub(super) fn build_or(
        asked: Option<&Self>,
        default: impl FnOnce() -> Arc<dyn Reducer>,
    ) -> Result<Arc<dyn Reducer>, ConfigError> {
        asked.map_or_else(|| Ok(default()), Self::build)
    }

    /// The reducer.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<Arc<dyn Reducer>, ConfigError> {
        Ok(match self {
            Self::MeanReducer(_) => Arc::new(MeanReducer),
            Self::SumReducer(_) => Arc::new(SumReducer),
            Self::ThresholdReducer(config) => Arc::new(ThresholdReducer::new(config.clone())?),
            Self::AvgNonZeroReducer(config) => Arc::new(AvgNonZeroReducer::new(config.clone())?),
            Self::ClassWeightedReducer(config) => {
                Arc::new(ClassWeightedReducer::new(config.clone())?)
            }
            Self::DivisorReducer(_) => Arc::new(DivisorReducer),
            Self::PerAnchorReducer(config) => {
                let inner = Self::build_or(config.reducer.as_deref(), mean)?;
                let own = dml_reducers::PerAnchorReducerConfig {
                    aggregation_func: config.aggregation_func,
                };
                Arc::new(PerAnchorReducer::new(own, inner))
            }
            Self::MultipleReducers(config) => {
                let default = Self::build_or(config.default_reducer.as_deref(), mean)?;
                let mut reducers = MultipleReducers::new(default);
                for (name, reducer) in &config.reducers {
                    reducers = reducers.with(name, reducer.build()?);
                }
                Arc::new(reducers)
            }
            Self::DoNothingReducer(_) => Arc::new(DoNothingReducer),
        })
    }
}

/// Values are first brought together per anchor, then reduced.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerAnchorReducerSpec {
    /// Reduces the value of every anchor. Default `MeanReducer`.
    pub reducer: Option<Box<ReducerConfig>>,
    /// How the values of an anchor become one.
    pub aggregation_func: Aggregation,
}

dml_core::config! {
    serde always:
    /// One reducer for each part of a loss.
    pub struct MultipleReducersSpec {
        /// A reducer by the name of the part, such as `pos_loss`.
        pub reducers: BTreeMap<String, ReducerConfig>;
        /// Reduces the parts that are not named. Default `MeanReducer`.
        pub default_reducer: Option<Box<ReducerConfig>> = None,
    }
}
