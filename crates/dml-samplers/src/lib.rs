#![doc = include_str!("../README.md")]

mod batch_rows;
mod classes;
mod combinations;
mod distribute;
mod epoch_rng;

pub mod fixed_set_of_triplets;
pub mod hierarchical;
pub mod m_per_class;
pub mod no_duplicates;
mod shuffle;
pub mod tuples_to_weights;

mod batch_stream;
mod sharded;

pub use dml_core;

pub use fixed_set_of_triplets::{FixedSetOfTriplets, FixedSetOfTripletsConfig};
pub use hierarchical::{HierarchicalSampler, HierarchicalSamplerConfig, SamplesPerClass};
pub use m_per_class::{MPerClassSampler, MPerClassSamplerConfig};
pub use no_duplicates::{NoDuplicatesSampler, NoDuplicatesSamplerConfig};
pub use shuffle::{ShuffleSampler, ShuffleSamplerConfig};
pub use tuples_to_weights::{TuplesToWeightsSampler, TuplesToWeightsSamplerConfig};

pub use batch_stream::{BatchStream, Position};
pub use sharded::{ShardedSampler, ShardedSamplerConfig, Share};
