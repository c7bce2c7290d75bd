//! PML's default collaborators, where a component leaves them open.

use std::sync::Arc;

use dml_core::{Distance, Reducer};
use dml_distances::{CosineSimilarity, DotProductSimilarity, LpDistance, SNRDistance};
use dml_reducers::{AvgNonZeroReducer, DivisorReducer, MeanReducer};

/// Euclidean distance of normalised rows.
#[must_use]
pub fn lp() -> Arc<dyn Distance> {
    Arc::new(LpDistance::default())
}

/// Euclidean distance of rows as they come.
#[must_use]
pub fn raw_lp() -> Arc<dyn Distance> {
    Arc::new(LpDistance::unnormalized())
}

/// Squared Euclidean distance of normalised rows.
#[must_use]
pub fn squared_lp() -> Arc<dyn Distance> {
    Arc::new(LpDistance::squared())
}

/// Cosine similarity.
#[must_use]
pub fn cosine() -> Arc<dyn Distance> {
    Arc::new(CosineSimilarity::default())
}

/// Dot products of normalised rows.
#[must_use]
pub fn dot() -> Arc<dyn Distance> {
    Arc::new(DotProductSimilarity::default())
}

/// Signal-to-noise ratio of normalised rows.
#[must_use]
pub fn snr() -> Arc<dyn Distance> {
    Arc::new(SNRDistance::default())
}

/// The mean of all values.
#[must_use]
pub fn mean() -> Arc<dyn Reducer> {
    Arc::new(MeanReducer)
}

/// The mean of the values above 0.
#[must_use]
pub fn avg_non_zero() -> Arc<dyn Reducer> {
    Arc::new(AvgNonZeroReducer::default())
}

/// The sum over the divisor that the loss names.
#[must_use]
pub fn divisor() -> Arc<dyn Reducer> {
    Arc::new(DivisorReducer)
}
