//! Reducers by name.

use std::sync::Arc;

use dml_core::Reducer;
use dml_reducers::{
    AvgNonZeroReducer, AvgNonZeroReducerConfig, MeanReducer, SumReducer, ThresholdReducer,
    ThresholdReducerConfig,
};

use super::{ConfigError, NoArguments, registry};

registry! {
    /// A reducer and its arguments.
    pub enum ReducerConfig {
        MeanReducer(NoArguments),
        SumReducer(NoArguments),
        ThresholdReducer(ThresholdReducerConfig),
        AvgNonZeroReducer(AvgNonZeroReducerConfig),
    }
}

impl ReducerConfig {
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
        })
    }
}
