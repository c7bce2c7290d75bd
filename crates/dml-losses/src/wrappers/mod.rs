//! Losses around other losses.

pub(crate) mod inner_names;
mod learned_distance;

pub mod cross_batch_memory;
pub mod multiple_losses;
pub mod self_supervised_loss;

pub use cross_batch_memory::{CrossBatchMemory, CrossBatchMemoryConfig};
pub use learned_distance::LearnedDistance;
pub use multiple_losses::{MultipleLosses, WeightedObjective};
pub use self_supervised_loss::SelfSupervisedLoss;
