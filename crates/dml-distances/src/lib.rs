#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::float_cmp, reason = "numbers by hand are exact"))]

mod frame;

mod cosine;
mod dot_product;
mod lp;

pub use dml_core;

pub use cosine::{CosineSimilarity, CosineSimilarityConfig};
pub use dot_product::{DotProductSimilarity, DotProductSimilarityConfig};
pub use lp::{LpDistance, LpDistanceConfig};

#[cfg(test)]
mod tests;
