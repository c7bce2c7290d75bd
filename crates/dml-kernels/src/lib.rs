#![doc = include_str!("../README.md")]

mod aligned;
mod matmul;
mod real;
mod row_chunks;
mod simd;

pub mod conv2d;
pub mod elementwise;
pub mod max_pool2d;
pub mod nearest;
pub mod normalize;
pub mod optimizer;
pub mod pairwise_lp;

mod pair_mask;
pub mod triplet_margin;
pub mod triplet_ranges;
mod triplet_set;

pub use real::Real;
pub use row_chunks::{for_each_row, row_chunks};
pub use simd::SimdReal;

pub use pair_mask::{MaskRow, PairMask};
pub use triplet_set::TripletSet;
