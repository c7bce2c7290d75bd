#![doc = include_str!("../README.md")]

mod aligned;
mod matmul;
mod real;
mod row_chunks;
mod simd;

pub mod conv2d;
pub mod nearest;
pub mod normalize;
pub mod pairwise_lp;
pub mod triplet_ranges;

pub use real::Real;
pub use row_chunks::{for_each_row, row_chunks};
pub use simd::SimdReal;
