//! A second look at a ranking: by what the neighbours have for neighbours.

pub mod k_reciprocal;
pub mod query_expansion;
mod sparse;

pub use k_reciprocal::{KReciprocal, KReciprocalConfig};
pub use query_expansion::{QueryExpansion, QueryExpansionConfig};
