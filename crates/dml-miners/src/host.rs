//! What every miner works on: distances in the memory of the host, and the positives and negatives of one anchor.

use candle_core::{DType, Device, Tensor};
use dml_core::{Batch, Distance, Relation, Result, check};

/// All distances of a batch `[Q, R]` as `f32` or `f64` on the CPU, outside of the graph.
pub(crate) fn distances(batch: &Batch, distance: &dyn Distance) -> Result<Tensor> {
    on_host(&batch.detach().distances(distance)?)
}

/// Refuses a distance other than that of points on the unit sphere.
pub(crate) fn unit_euclidean(component: &'static str, distance: &dyn Distance) -> Result<()> {
    let reason = "the distance must be LpDistance with p = 2, power = 1 and normalisation";
    check::supported(distance.kind().is_unit_euclidean(), component, reason)
}

/// The value of `$body`, where `$matrix` is the matrix of distances of a batch `[Q, R]` on the host as a slice of `$t`.
macro_rules! with_distances {
    ($batch:expr, $distance:expr, |$matrix:ident: &[$t:ident]| $body:expr) => {{
        let distances = $crate::host::distances($batch, $distance)?;
        dml_core::for_element!(distances, "matrix", |$t| {
            dml_core::autograd::with_slice(&distances, |$matrix: &[$t]| $body)
        })
    }};
}
pub(crate) use with_distances;

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
    pub(crate) fn clear(&mut self) {
        self.positives.clear();
        self.negatives.clear();
    }

    /// Those of anchor `q`, each in ascending order.
    pub(crate) fn of(&mut self, relation: &Relation, q: usize) -> &Self {
        self.clear();
        relation.split(q, &mut self.positives, &mut self.negatives);
        self
    }
}
