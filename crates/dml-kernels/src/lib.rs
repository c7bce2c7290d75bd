#![doc = include_str!("../README.md")]

mod matmul;
mod real;
mod row_chunks;

pub mod nearest;
pub mod normalize;
pub mod pairwise_lp;
pub mod triplet_ranges;

pub use real::Real;
pub use row_chunks::{for_each_row, row_chunks};
