#![doc = include_str!("../README.md")]

pub mod config;
pub mod defaults;
#[cfg(feature = "pictures")]
pub mod embedding_pictures;
#[cfg(all(feature = "images", feature = "text"))]
pub mod encoder;
pub mod prelude;

pub use candle_core;
pub use candle_nn;
pub use dml_core::{rand, rand_chacha};

pub use dml_core as core;
pub use dml_data as data;
pub use dml_distances as distances;
pub use dml_eval as eval;
#[cfg(feature = "exchange")]
pub use dml_exchange as exchange;
pub use dml_losses as losses;
pub use dml_miners as miners;
#[cfg(feature = "models")]
pub use dml_models as models;
pub use dml_nn as nn;
#[cfg(feature = "onnx")]
pub use dml_onnx as onnx;
pub use dml_reducers as reducers;
pub use dml_regularizers as regularizers;
#[cfg(feature = "report")]
pub use dml_report as report;
pub use dml_samplers as samplers;
pub use dml_train as train;

pub use dml_core::{
    Batch, Dataset, Distance, DistanceKind, Error, Examples, FrozenVariables, ImplicitValues,
    Indices, IntoLabels, Labels, Loss, Miner, Objective, Optimizer, Order, Outcome, Over, PairKind,
    Pairs, PartialSum, Reduced, Reducer, Regularizer, Relation, Result, Sampler, TensorExt, Term,
    Terms, Triplets, TupleCount, TupleSet, Tuples, in_graph, no_grad, with_frozen,
};

/// The examples of the workspace's README, run as a test.
#[cfg(all(doctest, feature = "images", feature = "models"))]
#[doc = include_str!("../../../README.md")]
struct WorkspaceReadme;

/// The examples of the guide's page on search, run as a test.
#[cfg(all(doctest, feature = "exchange"))]
#[doc = include_str!("../../../docs/guide/search.md")]
struct GuideToSearch;
