//! Batches of token ids and the tokens in them that are padding.

use candle_core::{DType, Device, Tensor};
use dml_core::{Error, Result};
use dml_nn::{Graph, GraphValue};

/// Which tokens of a batch `[batch, length]` are padding.
#[derive(Clone, Debug)]
pub(crate) struct Padding {
    pub(crate) batch: usize,
    pub(crate) length: usize,
    /// 1 for padding, else 0.
    pub(crate) padded: Vec<u8>,
}

impl Padding {
    /// # Errors
    /// [`Error::Shape`] unless the ids are `[batch, length]`, not empty, and every row has a token that is no padding, [`Error::DType`]
    /// unless they are whole numbers.
    pub(crate) fn new(ids: &Tensor, pad: u32) -> Result<Self> {
        let [batch, length] = *ids.dims() else {
            return Err(Error::Shape {
                arg: "ids",
                expected: "[batch, length]",
                got: ids.dims().to_vec(),
            });
        };
        if ids.dtype().is_float() {
            return Err(Error::DType {
                arg: "ids",
                expected: "whole numbers: u8, u32 or i64",
                got: ids.dtype(),
            });
        }
        let ids = ids.flatten_all()?.to_dtype(DType::I64)?.to_vec1::<i64>()?;
        let padded: Vec<u8> = ids
            .iter()
            .map(|id| u8::from(*id == i64::from(pad)))
            .collect();
        let empty = length == 0
            || padded
                .chunks(length)
                .any(|row| row.iter().all(|own| *own == 1));
        if empty {
            return Err(Error::Shape {
                arg: "ids",
                expected: "[batch, length], not empty, with a token in every row that is no padding",
                got: vec![batch, length],
            });
        }
        Ok(Self {
            batch,
            length,
            padded,
        })
    }

    /// The rows of the batch.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.padded.chunks(self.length.max(1))
    }

    /// `[batch, length]` of `u8`, 1 for padding; none without padding.
    pub(crate) fn mask(&self, device: &Device) -> Result<Option<Tensor>> {
        if !self.padded.contains(&1) {
            return Ok(None);
        }
        let shape = (self.batch, self.length);
        Ok(Some(Tensor::from_vec(self.padded.clone(), shape, device)?))
    }
}

/// Which tokens are no padding, in a graph: ids `[batch, length]` → truth values of the same shape.
pub(super) fn real_tokens(graph: &mut Graph, ids: &GraphValue, pad: u32) -> Result<GraphValue> {
    let pad = graph.integers(&[i64::from(pad)])?;
    let padded = graph.node("Equal", &[ids, &pad]);
    Ok(graph.node("Not", &[&padded]))
}

/// What is added to the scores of attention in a graph: `[batch, 1, 1, length]`, `least` for padding and else 0.
pub(super) fn added_scores(graph: &mut Graph, real: &GraphValue, least: f64) -> Result<GraphValue> {
    let added = zero_or(graph, real, least)?;
    let axes = graph.integers(&[1, 2])?;
    Ok(graph.node("Unsqueeze", &[&added, &axes]))
}

/// 0 where the truth values are true, else `least`, in a graph.
pub(crate) fn zero_or(graph: &mut Graph, truths: &GraphValue, least: f64) -> Result<GraphValue> {
    let [seen, unseen] = [graph.number(0.0)?, graph.number(least)?];
    Ok(graph.node("Where", &[truths, &seen, &unseen]))
}

/// Number of tokens of a row in a graph, `[1]`.
pub(crate) fn length(graph: &mut Graph, ids: &GraphValue) -> GraphValue {
    let second = [("start", 1i64.into()), ("end", 2i64.into())];
    graph.node_with("Shape", &[ids], &second)
}

/// How far each key is behind each query in a graph, `[length, length]`; `length` is `[1]`.
pub(crate) fn distances(graph: &mut Graph, length: &GraphValue) -> Result<GraphValue> {
    let [start, step] = [0i64, 1].map(|number| Tensor::new(number, &Device::Cpu));
    let (start, step) = (
        graph.constant("start", &start?),
        graph.constant("step", &step?),
    );
    let length = graph.node("Squeeze", &[length]);
    let keys = graph.node("Range", &[&start, &length, &step]);
    let axis = graph.integers(&[1])?;
    let queries = graph.node("Unsqueeze", &[&keys, &axis]);
    Ok(graph.node("Sub", &[&keys, &queries]))
}

/// Sums of a row up to each of its numbers, in a graph: `[batch, length]` to the same shape.
pub(super) fn running_sums(graph: &mut Graph, x: &GraphValue) -> Result<GraphValue> {
    let axis = graph.constant("axis", &Tensor::new(1i64, &Device::Cpu)?);
    Ok(graph.node("CumSum", &[x, &axis]))
}
