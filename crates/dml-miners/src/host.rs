//! What every miner works on: distances in the memory of the host, and the positives and negatives of one anchor.

use candle_core::{DType, Device, Tensor};
use dml_core::{Batch, Distance, Relation, Result};

/// All distances of a batch `[Q, R]` as `f32` or `f64` on the CPU, outside of the graph.
pub(crate) fn distances(batch: &Batch, distance: &dyn Distance) -> Result<Tensor> {
    on_host(&batch.detach().distances(distance)?)
}

pub(crate) fn on_host(tensor: &Tensor) -> Result<Tensor> {
    let tensor = tensor.detach().to_device(&Device::Cpu)?;
    Ok(match tensor.dtype() {
        DType::F16 | DType::BF16 => tensor.to_dtype(DType::F32)?,
        _ => tensor,
    })
}

/// The positives and negatives of one anchor; its memory is used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Sides {
    pub(crate) positives: Vec<u32>,
    pub(crate) negatives: Vec<u32>,
}

impl Sides {
    /// Those of anchor `q`, each in ascending order.
    pub(crate) fn of(&mut self, relation: &Relation, q: usize) -> &Self {
        self.positives.clear();
        self.negatives.clear();
        relation.split(q, &mut self.positives, &mut self.negatives);
        self
    }
}
