//! Sums of a triplet loss over triplets that are not written out.

use candle_core::Tensor;
use dml_kernels::cuda::triplet_margin::Triplets;

use super::run_for;
use crate::Result;
use crate::autograd::node;
use crate::tensor_ext::PartialSum;

/// What a triplet loss is computed from; see [`Triplets`].
#[derive(Clone, Debug)]
pub struct TripletMatrices {
    /// Distances `[Q, R]`, with the graph.
    pub matrix: Tensor,
    /// The distances `[Q, R]` by which triplets are selected.
    pub mined: Tensor,
    /// Distances `[R, R]` of positives and negatives, with `swap`.
    pub inside: Option<Tensor>,
    /// Positive pairs, `u8` `[Q, R]`.
    pub positive: Tensor,
    /// Negative pairs, `u8` `[Q, R]`.
    pub negative: Tensor,
}

impl TripletMatrices {
    fn inputs(&self) -> [&Tensor; 5] {
        let inside = self.inside.as_ref().unwrap_or(&self.matrix);
        [
            &self.matrix,
            &self.mined,
            inside,
            &self.positive,
            &self.negative,
        ]
    }
}

/// The sum, as a node of the graph, and how many values it has.
///
/// # Errors
/// As [`run`](super::run).
pub fn triplet_sum(triplets: Triplets, of: &TripletMatrices) -> Result<PartialSum> {
    let shape = of.matrix.shape().clone();
    let [gradient, sums, counts] = run_for(&triplets.sum(), &of.inputs())?;
    let count = total(&counts)?;
    let sum = sums.sum_all()?.to_dtype(of.matrix.dtype())?;
    let gradient = gradient.reshape(&shape)?;
    let sum = match &of.inside {
        None => node("triplet_sum", [&of.matrix], sum, move |_, _, upstream| {
            Ok([Some(gradient.broadcast_mul(upstream)?)])
        })?,
        Some(inside) => {
            let detached = TripletMatrices {
                matrix: of.matrix.detach(),
                inside: Some(inside.detach()),
                ..of.clone()
            };
            let inputs = [&of.matrix, inside];
            node(
                "triplet_sum",
                inputs,
                sum,
                move |[_, inside], _, upstream| {
                    let [swapped] = run_for(&triplets.swap_gradient(), &detached.inputs())?;
                    let swapped = swapped.reshape(inside.shape())?.broadcast_mul(upstream)?;
                    Ok([Some(gradient.broadcast_mul(upstream)?), Some(swapped)])
                },
            )?
        }
    };
    Ok(PartialSum { sum, count })
}

/// How many triplets are selected, whatever they cost.
///
/// # Errors
/// As [`run`](super::run).
pub fn triplet_count(triplets: &Triplets, of: &TripletMatrices) -> Result<u64> {
    let [counts] = run_for(&triplets.count(), &of.inputs())?;
    total(&counts)
}

/// The sum of as many counts as there are anchors, which is a number of the host.
fn total(counts: &Tensor) -> Result<u64> {
    Ok(counts
        .to_vec1::<i64>()?
        .iter()
        .map(|count| *count as u64)
        .sum())
}
