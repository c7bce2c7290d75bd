#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::float_cmp, reason = "numbers by hand are exact"))]

mod nearest_other;
mod per_row;

pub mod center_invariant;
pub mod koleo;
pub mod lp;
pub mod regular_face;
pub mod sparse_centers;
pub mod uniformity;
pub mod zero_mean;

pub use dml_core;

pub use center_invariant::CenterInvariantRegularizer;
pub use koleo::KoLeoRegularizer;
pub use lp::{LpRegularizer, LpRegularizerConfig};
pub use regular_face::RegularFaceRegularizer;
pub use sparse_centers::{SparseCentersRegularizer, SparseCentersRegularizerConfig};
pub use uniformity::{UniformityRegularizer, UniformityRegularizerConfig};
pub use zero_mean::ZeroMeanRegularizer;
