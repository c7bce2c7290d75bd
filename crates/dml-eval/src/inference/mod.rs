//! Using embeddings: which rows match, what is near, which class.

mod calibration;
pub mod knn_classifier;
pub mod match_finder;
mod matches;
mod model;

pub use calibration::ThresholdTarget;
pub use knn_classifier::{KnnClassifier, KnnClassifierConfig, Prediction, Vote};
pub use match_finder::{MatchFinder, MatchFinderConfig};
pub use matches::Matches;
pub use model::{InferenceModel, InferenceModelConfig};
