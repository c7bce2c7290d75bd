//! A distance and a similarity for tests: rows as they come, nothing normalised.

use candle_core::Tensor;
use dml_core::{Distance, Order, Result, TensorExt};

/// ‖x − r‖₂
#[derive(Debug)]
pub(crate) struct Euclidean;

impl Distance for Euclidean {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
        query.pairwise_lp(reference.unwrap_or(query), 2.0)
    }
}

/// x·r
#[derive(Debug)]
pub(crate) struct DotProduct;

impl Distance for DotProduct {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
        query.pairwise_dot(reference.unwrap_or(query))
    }

    fn order(&self) -> Order {
        Order::LargerIsCloser
    }
}
