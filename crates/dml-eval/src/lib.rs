#![doc = include_str!("../README.md")]

mod kernels;
mod rows;

pub mod index;

pub mod clustering;
pub mod collapse;
pub mod inputs;
pub mod projection;
pub mod rerank;
pub mod verification;

pub mod accuracy;
pub mod inference;
pub mod testers;

#[cfg(feature = "pictures")]
pub mod pictures;

pub use dml_core;

#[cfg(feature = "usearch")]
pub use index::UsearchIndex;
pub use index::{
    AttributeInfo, Attributes, Collection, CollectionError, CollectionSummary, Column, DamagedLog,
    Durability, Filter, FilterSyntaxError, FolderSummary, Hit, Id, IdKind, IdRef, Ids, Item,
    ItemRef, Items, OpenOptions, Search, Selection, Storage, Upserted, Value, ValueKind,
};
pub use index::{
    Codes, CustomKNN, CustomKNNConfig, FileCheck, FlatIndex, FlatMetric, IndexFileError, KnnIndex,
    Neighbors, NeighborsWithin, QuantizedIndex, QuantizedIndexConfig, RowSet, RowStorage,
    SelfMatch, UsearchIndexConfig, load_index, load_index_mapped,
};

pub use inference::{
    InferenceModel, InferenceModelConfig, KnnClassifier, KnnClassifierConfig, MatchFinder,
    MatchFinderConfig, Matches, Prediction, ThresholdTarget, Vote,
};

pub use collapse::{
    PairDistances, alignment, mean_pair_distances, principal_components_fraction, rank_me,
    uniformity,
};

pub use inputs::{DatasetInputs, Inputs, embed};

pub use projection::{Pca, TSne, TSneConfig};

pub use rerank::{KReciprocal, KReciprocalConfig, QueryExpansion, QueryExpansionConfig};

pub use testers::{
    GlobalEmbeddingSpaceTester, GlobalTwoStreamEmbeddingSpaceTester, LabelLevels, LevelScores,
    SplitAccuracies, SplitsToEval, TestSplit, TesterConfig, WithSameParentLabelTester,
};

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
