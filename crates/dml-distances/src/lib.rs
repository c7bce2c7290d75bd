#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::float_cmp, reason = "numbers by hand are exact"))]

mod divide_rows;
mod frame;

pub mod cosine;
pub mod dot_product;
pub mod lp;
pub mod snr;

pub mod batched;
pub mod hamming;
pub mod mahalanobis;

pub use dml_core;

pub use cosine::{CosineSimilarity, CosineSimilarityConfig};
pub use dot_product::{DotProductSimilarity, DotProductSimilarityConfig};
pub use lp::{LpDistance, LpDistanceConfig};
pub use snr::{SNRDistance, SNRDistanceConfig};

pub use batched::{BatchedDistance, BatchedDistanceConfig};
pub use hamming::HammingDistance;
pub use mahalanobis::{MahalanobisDistance, MahalanobisDistanceConfig};

#[cfg(test)]
mod tests;
