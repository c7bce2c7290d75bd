//! For tests: a distance and a similarity of rows as they come, and tuples as lists that can be compared.

use candle_core::Tensor;
use dml_core::{Batch, Distance, Order, Result, TensorExt, Tuples};

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

/// Anchor, positive and negative of each triplet.
pub(crate) fn triplets(tuples: &Tuples, batch: &Batch) -> Result<Vec<[u32; 3]>> {
    let list = tuples.triplets(batch)?;
    Ok(list.iter().map(|(a, p, n)| [a, p, n]).collect())
}

/// Positive and negative pairs.
pub(crate) type PairLists = (Vec<[u32; 2]>, Vec<[u32; 2]>);

/// Anchor and positive of each positive pair, anchor and negative of each negative pair.
pub(crate) fn pairs(tuples: &Tuples, batch: &Batch) -> Result<PairLists> {
    let list = tuples.pairs(batch)?;
    let join = |a: &[u32], b: &[u32]| a.iter().zip(b).map(|(&a, &b)| [a, b]).collect();
    Ok((
        join(&list.positive_anchors, &list.positives),
        join(&list.negative_anchors, &list.negatives),
    ))
}
