//! Match finders and inference models by name.

use std::sync::Arc;

use candle_core::{ModuleT, Tensor};
use dml_eval::{InferenceModel, MatchFinder};
use serde_json::json;

use super::{ConfigError, DistanceConfig, KnnConfig, NoArguments, registry};
use crate::defaults::cosine;

registry! {
    /// What finds rows that match.
    pub enum MatchConfig {
        MatchFinder(MatchFinderSpec) {
            required: |_| json!({"distance": {"name": "CosineSimilarity"}}),
            examples: |_| json!([{"threshold": 0.5}]),
        },
    }
}

registry! {
    /// What embeds, finds neighbours and finds matches.
    pub enum InferenceConfig {
        InferenceModel(InferenceModelSpec) {
            required: |_| json!({"trunk": {"name": "Identity"}}),
            examples: |_| json!([
                {"match_finder": {"name": "MatchFinder", "distance": {"name": "LpDistance"}, "threshold": 0.5}},
            ]),
        },
    }
}

registry! {
    /// A network that needs no weights. Others are given to [`InferenceModelSpec::build_with`].
    pub enum NetworkConfig {
        Identity(NoArguments),
    }
}

impl NetworkConfig {
    /// The network.
    #[must_use]
    pub fn build(&self) -> Arc<dyn ModuleT + Send + Sync> {
        match self {
            Self::Identity(_) => Arc::new(|inputs: &Tensor| Ok(inputs.clone())),
        }
    }
}

dml_core::config! {
    serde always:
    /// Rows that are close enough.
    pub struct MatchFinderSpec {
        /// What rows are compared by.
        pub distance: DistanceConfig;
        /// From where on rows match. Default: it is given with every call.
        pub threshold: Option<f64> = None,
    }
}

impl MatchConfig {
    /// The match finder.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<MatchFinder, ConfigError> {
        let Self::MatchFinder(config) = self;
        config.build()
    }
}

impl MatchFinderSpec {
    /// The match finder.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<MatchFinder, ConfigError> {
        let own = dml_eval::MatchFinderConfig {
            threshold: self.threshold,
        };
        Ok(MatchFinder::new(own, self.distance.build()?)?)
    }
}

dml_core::config! {
    serde always:
    /// A network, an index and a threshold.
    pub struct InferenceModelSpec {
        /// The network.
        pub trunk: NetworkConfig;
        /// The network after it. Default: none.
        pub embedder: Option<NetworkConfig> = None,
        /// What matches. Default: a cosine of at least 0.9.
        pub match_finder: Option<MatchConfig> = None,
        /// Whether embeddings are divided by their Euclidean norm. Default `true`.
        pub normalize_embeddings: bool = true,
        /// How neighbours are searched for. Default: by squared Euclidean distance.
        pub knn_func: Option<KnnConfig> = None,
    }
}

impl InferenceConfig {
    /// The model, of networks that have a name.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<InferenceModel, ConfigError> {
        let Self::InferenceModel(config) = self;
        let model = config.build_with(config.trunk.build())?;
        Ok(match &config.embedder {
            Some(embedder) => {
                let embedder = embedder.build();
                model.with_embedder(move |inputs: &Tensor| embedder.forward_t(inputs, false))
            }
            None => model,
        })
    }
}

impl InferenceModelSpec {
    /// The model of another trunk than the one that is named, and without an embedder.
    ///
    /// # Errors
    /// As [`InferenceConfig::build`].
    pub fn build_with(
        &self,
        trunk: Arc<dyn ModuleT + Send + Sync>,
    ) -> Result<InferenceModel, ConfigError> {
        let match_finder = match &self.match_finder {
            Some(config) => config.build()?,
            None => {
                let threshold = Some(0.9);
                MatchFinder::new(dml_eval::MatchFinderConfig { threshold }, cosine())?
            }
        };
        let own = dml_eval::InferenceModelConfig {
            normalize_embeddings: self.normalize_embeddings,
        };
        let index = self.knn_func.clone().unwrap_or_default().build()?;
        let trunk = move |inputs: &Tensor| trunk.forward_t(inputs, false);
        Ok(InferenceModel::new(
            own,
            trunk,
            match_finder,
            index.to_empty(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn defaults_are_a_cosine_of_0_9_and_squared_distances() {
        let json = r#"{"name": "InferenceModel", "trunk": {"name": "Identity"}}"#;
        let mut model = InferenceConfig::from_json(json).unwrap().build().unwrap();
        let rows = Tensor::new(&[[3f32, 0.], [5., 1.], [0., 2.]], &Device::Cpu).unwrap();
        let matches = model.get_matches(&rows, None, None).unwrap();
        assert_eq!(matches.pairs, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)]);
        model.train_knn(&rows, 2).unwrap();
        let found = model.get_nearest_neighbors(&rows, 3).unwrap();
        assert!((found.distances[2] - 2.0).abs() < 1e-6);
    }

    #[test]
    fn unknown_fields_and_missing_parts_are_refused() {
        for json in [
            r#"{"name": "InferenceModel"}"#,
            r#"{"name": "InferenceModel", "trunk": {"name": "Identity"}, "margin": 1}"#,
            r#"{"name": "InferenceModel", "trunk": {"name": "ResNet"}}"#,
        ] {
            assert!(InferenceConfig::from_json(json).is_err(), "{json}");
        }
        for json in [
            r#"{"name": "MatchFinder"}"#,
            r#"{"name": "MatchFinder", "distance": {"name": "LpDistance"}, "k": 1}"#,
        ] {
            assert!(MatchConfig::from_json(json).is_err(), "{json}");
        }
    }
}
