#![doc = include_str!("../README.md")]

#[cfg(test)]
mod clustered_rows;
mod custom_knn;
mod distance_blocks;
#[cfg(test)]
mod every_index;
pub mod flat_index;
mod half_rows;
pub mod index_file;
mod kernels;
mod knn_index;
mod neighbors;
pub mod quantized_index;
mod rows;
mod saved_index;
mod scale;
mod usearch_config;
#[cfg(feature = "usearch")]
pub mod usearch_index;

pub mod accuracy;
pub mod clustering;
pub mod collapse;
pub mod inference;
pub mod pca;
#[cfg(feature = "pictures")]
pub mod pictures;
pub mod rerank;
pub mod testers;
pub mod tsne;
pub mod verification;

pub use dml_core;

pub use custom_knn::{CustomKNN, CustomKNNConfig};
pub use flat_index::{FlatIndex, FlatMetric, RowStorage};
pub use index_file::IndexFileError;
pub use knn_index::{KnnIndex, SelfMatch};
pub use neighbors::{Neighbors, NeighborsWithin};
pub use quantized_index::{Codes, QuantizedIndex, QuantizedIndexConfig};
pub use saved_index::load_index;
pub use usearch_config::UsearchIndexConfig;
#[cfg(feature = "usearch")]
pub use usearch_index::UsearchIndex;

pub use inference::{
    InferenceModel, InferenceModelConfig, KnnClassifier, KnnClassifierConfig, MatchFinder,
    MatchFinderConfig, Matches, Prediction, ThresholdTarget, Vote,
};

pub use collapse::{
    PairDistances, alignment, mean_pair_distances, principal_components_fraction, rank_me,
    uniformity,
};

pub use pca::Pca;

pub use rerank::{KReciprocal, KReciprocalConfig, QueryExpansion, QueryExpansionConfig};

pub use testers::{
    DatasetInputs, GlobalEmbeddingSpaceTester, GlobalTwoStreamEmbeddingSpaceTester, Inputs,
    LabelLevels, LevelScores, SplitAccuracies, SplitsToEval, TestSplit, TesterConfig,
    WithSameParentLabelTester,
};

pub use tsne::{TSne, TSneConfig};

pub use verification::{
    Best, EqualErrorRate, FoldAccuracies, OperatingPoint, Verification, VerificationMetric,
    fold_accuracies,
};

pub use clustering::{
    BCubed, ClusterAgreement, ClusterMetric, Clusterer, Confusion, Contingency, GivenClusters,
    KMeans, KMeansConfig, KMeansStart, RowClusters,
};

pub use accuracy::{
    Accuracies, AccuracyCalculator, AccuracyCalculatorConfig, AccuracyMetric, BootstrapConfig,
    ConfidenceInterval, JUNK, LabelRelation, NeighborCount, RankDepth, RankMetric, RetrievalMetric,
    Score, confidence_interval, query_gallery_relation, with_queries_among_references,
};
