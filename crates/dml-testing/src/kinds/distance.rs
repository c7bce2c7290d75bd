//! Distances: the matrix, rows with rows, and in blocks.

use dml::candle_core::{D, Device, Tensor};
use dml::config::DistanceConfig;
use dml::core::check;
use dml::{Distance, DistanceKind, Order, TensorExt};

use crate::Case;
use crate::answer::Answer;
use crate::inputs::Inputs;
use crate::unsupported::unsupported;

pub(super) fn answer(case: &Case) -> anyhow::Result<Answer> {
    let config: DistanceConfig = dml::config::from_value(case.config()?)?;
    let distance = config.build()?;
    let mut inputs = Inputs::default();
    let mut answer = Answer::default();
    let query = inputs.required(case, "embeddings")?;
    let reference = inputs.optional(case, "ref_emb")?;
    let reference = reference.as_ref().map(dml::candle_core::Var::as_tensor);
    let result = match case.op() {
        "matrix" => {
            let matrix = distance.matrix(&query, reference)?;
            answer.put("out.mat", matrix.clone());
            describe(&*distance, &query, &matrix, &mut answer)?;
            matrix
        }
        "batched" => {
            let DistanceConfig::BatchedDistance(blocks) = &config else {
                return Err(unsupported("only BatchedDistance works in blocks"));
            };
            let blocks = blocks.build_blocks()?;
            let mut spans = Vec::new();
            let mut parts = Vec::new();
            blocks.for_each_block(&query, reference, |block, rows| {
                spans.push(vec![rows.start as i64, rows.end as i64]);
                parts.push(block.clone());
                Ok(())
            })?;
            let matrix = Tensor::cat(&parts, 0)?;
            answer.put("out.mat", matrix.clone());
            answer.put("out.spans", Tensor::new(spans, &Device::Cpu)?);
            matrix
        }
        "pairwise" => {
            let values = pairwise(&*distance, &query, reference.unwrap_or(&query))?;
            answer.put("out.pairwise", values.clone());
            values
        }
        other => return Err(unsupported(format!("distance op {other}"))),
    };
    if let Some(weights) = case.tensor("in.weights")? {
        let gradients = (result * weights)?.sum_all()?.backward()?;
        answer.put_gradients(&inputs, &gradients)?;
    }
    Ok(answer)
}

/// Row i with row i as PML's `pairwise_distance` compares them: p-norms add 1e-6 to every difference.
fn pairwise(distance: &dyn Distance, query: &Tensor, reference: &Tensor) -> dml::Result<Tensor> {
    let DistanceKind::Lp { p, .. } = distance.kind() else {
        return distance.raw_pairs(query, reference);
    };
    check::same_shape("reference", reference, query)?;
    ((query - reference)? + 1e-6)?.row_norms(p)
}

/// What else a distance says of the rows and of the matrix.
fn describe(
    distance: &dyn Distance,
    query: &Tensor,
    matrix: &Tensor,
    answer: &mut Answer,
) -> anyhow::Result<()> {
    answer.put("out.normalized", distance.prepare(query)?);
    answer.put("out.norm", distance.norms(query)?);
    let (low, high) = (matrix.min(D::Minus1)?, matrix.max(D::Minus1)?);
    let (nearest, farthest) = match distance.order() {
        Order::SmallerIsCloser => (low, high),
        Order::LargerIsCloser => (high, low),
    };
    answer.put("out.row_smallest", nearest);
    answer.put("out.row_largest", farthest);
    let column = |j: usize| matrix.narrow(1, j, 1)?.squeeze(1);
    let gap = distance.gap(&column(0)?, &column(matrix.dims()[1] - 1)?)?;
    answer.put("out.margin", gap);
    Ok(())
}
