#![doc = include_str!("../README.md")]

pub mod aligned;
mod distance_order;
pub mod exact;
mod exponential;
pub mod in_place;
pub mod lanes;
pub mod lengths;
pub mod matrix_gradient;
mod normal;
mod real;
mod row_chunks;
mod side;
mod simd;
mod transpose;
mod vectorized;
mod written;
mod zeros;

pub mod matrix_product;
pub mod row_panels;
mod row_products;
mod symmetric_tiles;

pub mod class_softmax;
pub mod column_groups;
pub mod cuda;
pub mod divided_rows;
pub mod elementary;
pub mod elementwise;
pub mod euclidean;
pub mod finite;
pub mod hamming;
pub mod inverse;
pub mod log_sum_exp;
pub mod normalize;
pub mod pairwise_dot;
pub mod pairwise_lp;
pub mod row_values;
pub mod softmax;
pub mod sum_within;

pub mod angular_triplets;
pub mod binned_gaps;
pub mod boundary_hinges;
mod kth_smallest;
mod pair_mask;
mod random_triplets;
pub mod soft_histogram;
pub mod soft_rank;
pub mod triplet_margin;
pub mod triplet_ranges;
mod triplet_set;
mod triplet_walk;

pub use lanes::sum;
pub use matrix_gradient::MatrixGradient;
pub use real::Real;
pub use row_chunks::{for_each_row, for_each_row_with, map_rows, row_chunks};
pub use side::Side;
pub use simd::SimdReal;
pub use transpose::transposed;
pub use vectorized::vectorized;
pub use written::{written, written_chunks};
pub use zeros::zeros;

pub use angular_triplets::{AngularTriplets, Triangle};
pub use kth_smallest::KthSmallest;
pub use pair_mask::{MaskRow, PairMask};
pub use random_triplets::{DrawnTriplets, Weigh, random_triplets};
pub use triplet_set::TripletSet;
pub use triplet_walk::TripletWalk;
