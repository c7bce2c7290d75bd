#![doc = include_str!("../README.md")]

mod per_row;

mod center_invariant;
mod lp;
mod regular_face;
mod sparse_centers;
mod zero_mean;

pub use dml_core;

pub use center_invariant::CenterInvariantRegularizer;
pub use lp::{LpRegularizer, LpRegularizerConfig};
pub use regular_face::RegularFaceRegularizer;
pub use sparse_centers::{SparseCentersRegularizer, SparseCentersRegularizerConfig};
pub use zero_mean::ZeroMeanRegularizer;
