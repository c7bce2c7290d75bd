//! Samplers by name.

use std::sync::Arc;

use dml_core::{Labels, Sampler};
use dml_samplers::{
    MPerClassSampler, MPerClassSamplerConfig, ShuffleSampler, ShuffleSamplerConfig,
};

use super::{ConfigError, registry};

registry! {
    /// A sampler and its arguments.
    pub enum SamplerConfig {
        MPerClassSampler(MPerClassSamplerConfig),
        ShuffleSampler(ShuffleSamplerConfig),
    }
}

impl SamplerConfig {
    /// The sampler of a data set with these labels.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments that are outside of their range, or that the labels can't fulfil.
    pub fn build(&self, labels: &Labels) -> Result<Arc<dyn Sampler>, ConfigError> {
        Ok(match self {
            Self::MPerClassSampler(config) => {
                Arc::new(MPerClassSampler::new(config.clone(), labels)?)
            }
            Self::ShuffleSampler(config) => {
                Arc::new(ShuffleSampler::new(config.clone(), labels.len())?)
            }
        })
    }
}
