//! What a program that trains embeddings uses: `use dml::prelude::*;`.
//!
//! The traits and types of the core, every distance, loss, miner, reducer, regularizer and sampler with its configuration,
//! optimisers, and Candle's tensors.

// Some crates have modules of one name; the prelude is for types.
#![allow(ambiguous_glob_reexports)]

pub use candle_core::{DType, Device, Tensor, Var};

pub use crate::distances::*;
pub use crate::losses::*;
pub use crate::miners::*;
pub use crate::reducers::*;
pub use crate::regularizers::*;
pub use crate::samplers::*;

pub use crate::nn::{Adam, AdamConfig, AdamW, AdamWConfig, Sgd, SgdConfig};
pub use crate::{
    Batch, Dataset, Distance, Error, Indices, Loss, Miner, Objective, Optimizer, Order, Outcome,
    Over, Pairs, Reducer, Regularizer, Relation, Result, Sampler, TensorExt, Term, Terms, Triplets,
    Tuples,
};
