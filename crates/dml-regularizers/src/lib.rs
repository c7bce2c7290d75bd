#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::float_cmp, reason = "numbers by hand are exact"))]

mod nearest_other;
mod per_row;

mod center_invariant;
mod koleo;
mod lp;
mod regular_face;
mod sparse_centers;
mod uniformity;
mod zero_mean;

pub use dml_core;

pub use center_invariant::CenterInvariantRegularizer;
pub use koleo::KoLeoRegularizer;
pub use lp::{LpRegularizer, LpRegularizerConfig};
pub use regular_face::RegularFaceRegularizer;
pub use sparse_centers::{SparseCentersRegularizer, SparseCentersRegularizerConfig};
pub use uniformity::{UniformityRegularizer, UniformityRegularizerConfig};
pub use zero_mean::ZeroMeanRegularizer;
