//! Triplets as intervals of each anchor's sorted negatives, from a tensor of distances.

use candle_core::{DType, Device, Tensor};
use dml_kernels::Real;
use dml_kernels::triplet_ranges::{GapInterval, TripletRanges};

use crate::autograd::with_slice;
use crate::{Batch, Error, Order, Result, for_element};

/// Selects triplets by their gap from a `[Q, R]` matrix of distances, without writing one out.
///
/// `split(q, positives, negatives)` appends the positive and the negative reference rows of query `q`.
///
/// # Errors
/// [`Error::DType`] unless the matrix is of `f32` or `f64`, [`Error::Shape`] unless it is of rank 2.
pub fn triplet_ranges(
    matrix: &Tensor,
    order: Order,
    interval: GapInterval,
    split: impl Fn(usize, &mut Vec<u32>, &mut Vec<u32>) + Sync,
) -> Result<TripletRanges> {
    let [_, references] = *matrix.dims() else {
        return Err(Error::Shape {
            arg: "matrix",
            expected: "[queries, references]",
            got: matrix.dims().to_vec(),
        });
    };
    // The order of the negatives lives on the host: a matrix from another device is copied here once.
    let matrix = matrix.detach().to_device(&Device::Cpu)?;
    let matrix = match matrix.dtype() {
        DType::F16 | DType::BF16 => matrix.to_dtype(DType::F32)?,
        _ => matrix,
    };
    for_element!(matrix, "matrix", |T| with_slice(&matrix, |m: &[T]| {
        TripletRanges::select(m, references, T::from_f64(order.sign()), interval, split)
    }))
}

pub(super) fn check(ranges: &TripletRanges, batch: &Batch) -> Result<()> {
    super::check_rows("anchors", ranges.anchors(), batch.queries())?;
    super::check_rows("references", ranges.references(), batch.references())
}
