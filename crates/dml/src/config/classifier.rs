//! Classifiers by name.

use dml_eval::{KnnClassifier, Vote};
use serde_json::json;

use super::{ConfigError, KnnConfig, registry};

registry! {
    /// What tells the class of an embedding.
    pub enum ClassifierConfig {
        KnnClassifier(KnnClassifierSpec) {
            examples: |_| json!([{"k": 2}]),
        },
    }
}

impl ClassifierConfig {
    /// The classifier, which knows no embedding yet.
    ///
    /// # Errors
    /// [`ConfigError::Component`] for arguments outside of their range.
    pub fn build(&self) -> Result<KnnClassifier, ConfigError> {
        let Self::KnnClassifier(config) = self;
        config.build()
    }
}

dml_core::config! {
    serde always:
    /// The votes of the nearest neighbours.
    pub struct KnnClassifierSpec {
        /// How many neighbours vote; 1 to 4,294,967,295. Default 5.
        pub k: usize = dml_eval::KnnClassifierConfig::default().k,
        /// How much each counts. Default: all alike.
        pub vote: Vote = dml_eval::KnnClassifierConfig::default().vote,
        /// How neighbours are searched for. Default: by squared Euclidean distance.
        pub knn_func: KnnConfig = KnnConfig::default(),
    }
}

impl KnnClassifierSpec {
    /// The classifier.
    ///
    /// # Errors
    /// As [`ClassifierConfig::build`].
    pub fn build(&self) -> Result<KnnClassifier, ConfigError> {
        let own = dml_eval::KnnClassifierConfig {
            k: self.k,
            vote: self.vote,
        };
        Ok(KnnClassifier::new(own, self.knn_func.build()?.to_empty())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};

    #[test]
    fn neighbours_vote_as_they_are_told() {
        let rows = Tensor::new(&[[1f32, 0.], [1., 0.2], [0.9, 0.3], [0., 1.]], &Device::Cpu);
        let query = Tensor::new(&[[1f32, 0.01]], &Device::Cpu).unwrap();
        let label = |json: &str| {
            let mut classifier = ClassifierConfig::from_json(json).unwrap().build().unwrap();
            let rows = rows.as_ref().unwrap();
            classifier.add(rows, [5i64, 3, 3, 3]).unwrap();
            classifier.predict(&query).unwrap()[0].label
        };
        assert_eq!(label(r#"{"name": "KnnClassifier", "k": 3}"#), 3);
        let inverse = r#"{"name": "KnnClassifier", "k": 3, "vote": "InverseRank",
            "knn_func": {"name": "FlatIndex", "metric": "Cosine"}}"#;
        assert_eq!(label(inverse), 5);
        let none = ClassifierConfig::from_json(r#"{"name": "KnnClassifier", "k": 0}"#);
        assert!(none.unwrap().build().is_err());
        assert!(ClassifierConfig::from_json(r#"{"name": "KnnClassifier", "n": 1}"#).is_err());
    }
}
