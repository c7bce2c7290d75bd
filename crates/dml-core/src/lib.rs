#![doc = include_str!("../README.md")]

mod as_text;
mod causes;
pub mod check;
pub mod checkpoint;
mod config;
mod debug_fields;
pub mod durable;
mod error;
#[cfg(feature = "serde")]
pub mod extended_real;
pub mod folder_lock;

#[doc(hidden)]
pub mod autograd;
pub mod tensor_ext;

mod forward;
mod seed_sequence;
mod setters;

mod batch;
mod labels;
pub mod relation;
pub mod tuples;

mod terms;

mod dataset;
mod distance;
mod image_input;
mod loss;
mod miner;
mod name_pattern;
mod objective;
mod optimizer;
mod reducer;
mod regularizer;
mod sampler;
mod trainable;

// Public dependencies: their types stand in signatures, so their major versions are part of this crate's.
pub use candle_core;
/// The kernels, for dml's own role crates. Exempt from semantic versioning, as `dml-kernels` is.
#[doc(hidden)]
pub use dml_kernels as kernels;
pub use rand;
pub use rand_chacha;

pub use causes::with_causes;
pub use checkpoint::CheckpointError;
#[cfg(feature = "serde")]
#[doc(hidden)]
pub use config::given;
pub use error::{Error, Result};

pub use autograd::{FrozenVariables, in_graph, no_grad, with_frozen};
pub use tensor_ext::{PartialSum, TensorExt};

pub use seed_sequence::{SeedSequence, mix_seed};

pub use batch::Batch;
pub use labels::{IntoLabels, Labels};
pub use relation::{PairKind, Relation};
pub use tuples::{Pairs, PerAnchor, RowCounts, Triplets, TupleCount, TupleSet, Tuples};

pub use terms::{AnchorSums, ImplicitValues, Indices, Over, Term, Terms};

pub use dataset::{Dataset, Examples};
pub use distance::{Distance, DistanceKind, Order};
pub use image_input::{ChannelOrder, Crop, ImageInput, Interpolation};
pub use loss::{ClassLoss, Loss};
pub use miner::Miner;
pub use name_pattern::NamePattern;
pub use objective::{Objective, Outcome};
pub use optimizer::Optimizer;
pub use reducer::{Reduced, Reducer};
pub use regularizer::Regularizer;
pub use sampler::Sampler;
pub use trainable::{Contents, RunningStatistics, Trainable};
