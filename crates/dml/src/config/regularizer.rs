//! Regularizers by name, with their distance and reducer.

use std::sync::Arc;

use dml_core::{Distance, Reducer, Regularizer};
use dml_regularizers::{
    CenterInvariantRegularizer, KoLeoRegularizer, LpRegularizer, LpRegularizerConfig,
    RegularFaceRegularizer, SparseCentersRegularizer, SparseCentersRegularizerConfig,
    UniformityRegularizer, UniformityRegularizerConfig, ZeroMeanRegularizer,
};
use serde_json::json;

use super::parts::read_with_parts;
use super::{ConfigError, DistanceConfig, NoArguments, ReducerConfig, registry};
use crate::defaults::{cosine, divisor, lp, mean, raw_lp, squared_lp};

/// Name(arguments): constructor, default distance, default reducer, and fields of the profile in braces.
macro_rules! regularizers {
    ($($Name:ident($Config:ty): $new:expr, $distance:path, $reducer:path $({ $($profile:tt)* })?;)*) => {
        registry! {
            /// A regularizer and its own arguments.
            pub enum RegularizerKind {
                $($Name($Config) $({ $($profile)* })?,)*
            }
        }

        impl RegularizerKind {
            fn build(
                &self,
                distance: Arc<dyn Distance>,
                reducer: Arc<dyn Reducer>,
            ) -> Result<Arc<dyn Regularizer>, ConfigError> {
                Ok(match self {
                    $(Self::$Name(config) => Arc::new($new(config.clone(), distance, reducer)?),)*
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

regularizers! {
    LpRegularizer(LpRegularizerConfig): |config, _, reducer| LpRegularizer::new(config, reducer), lp, mean;
    ZeroMeanRegularizer(NoArguments): |_, _, reducer| zero_mean(reducer), lp, mean;
    CenterInvariantRegularizer(NoArguments):
        |_, distance, reducer| CenterInvariantRegularizer::new(distance, reducer), raw_lp, mean;
    RegularFaceRegularizer(NoArguments):
        |_, distance, reducer| RegularFaceRegularizer::new(distance, reducer), cosine, mean;
    SparseCentersRegularizer(SparseCentersRegularizerConfig): SparseCentersRegularizer::new, cosine, divisor {
        required: |sizes| json!({"num_classes": 2, "centers_per_class": sizes.rows / 2}),
    };
    KoLeoRegularizer(NoArguments): |_, distance, reducer| KoLeoRegularizer::new(distance, reducer), lp, mean;
    UniformityRegularizer(UniformityRegularizerConfig):
        |config, distance, _| UniformityRegularizer::new(config, distance), squared_lp, mean;
}

fn zero_mean(reducer: Arc<dyn Reducer>) -> dml_core::Result<ZeroMeanRegularizer> {
    Ok(ZeroMeanRegularizer::new(reducer))
}

/// A regularizer with its collaborators; what is `None` has PML's default for it.
#[derive(Clone, Debug, PartialEq)]
pub struct RegularizerConfig {
    /// The regularizer and its own arguments.
    pub regularizer: RegularizerKind,
    /// How far apart rows are.
    pub distance: Option<DistanceConfig>,
    /// How the penalties of the rows become one number.
    pub reducer: Option<ReducerConfig>,
}

impl RegularizerConfig {
    /// The regularizer.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<Arc<dyn Regularizer>, ConfigError> {
        let distance = DistanceConfig::build_or(self.distance.as_ref(), || {
            self.regularizer.default_distance()
        })?;
        let reducer =
            ReducerConfig::build_or(self.reducer.as_ref(), || self.regularizer.default_reducer())?;
        self.regularizer.build(distance, reducer)
    }
}

read_with_parts! { RegularizerConfig { distance, reducer, .. regularizer } }
