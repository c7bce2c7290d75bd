//! Triplets that are not written out, as losses sum over them: on the host, where the order of the negatives lives.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use dml_core::autograd::{self, Element, PartialGradient, with_slice};
use dml_core::kernels::elementwise::scale_rows;
use dml_core::kernels::triplet_ranges::TripletRanges;
use dml_core::kernels::{Real, TripletSet, TripletWalk};
use dml_core::{Batch, Order, Result, TensorExt, Triplets, Tuples};

/// Triplets that are not written out.
#[derive(Clone, Debug)]
pub(crate) enum TripletForm {
    /// Summed along the order of the negatives.
    Ranges(Arc<TripletRanges>),
    /// Visited one by one.
    Rule(Arc<dyn TripletSet>),
}

impl TripletForm {
    /// The triplets of `tuples` over `matrix` `[Q, R]`; `None` for a list, which is taken as it is.
    pub(crate) fn of(
        tuples: &Tuples,
        batch: &Batch,
        matrix: &Tensor,
        order: Order,
    ) -> Result<Option<Self>> {
        Ok(match tuples.ranges(batch, matrix, order)? {
            Some(ranges) => Some(Self::Ranges(ranges)),
            None => tuples.rule(batch)?.map(Self::Rule),
        })
    }

    /// The triplets as a set that is visited one by one.
    pub(crate) fn set(&self) -> &dyn TripletSet {
        match self {
            Self::Ranges(ranges) => &**ranges,
            Self::Rule(set) => &**set,
        }
    }

    pub(crate) fn walk(&self) -> TripletWalk<'_> {
        match self {
            Self::Ranges(ranges) => TripletWalk::Ranges(ranges),
            Self::Rule(set) => TripletWalk::Set(&**set),
        }
    }
}

/// A matrix from another device is copied here once.
pub(crate) fn on_host(matrix: &Tensor) -> Result<Tensor> {
    let matrix = matrix.to_device(&Device::Cpu)?;
    Ok(match matrix.dtype() {
        DType::F16 | DType::BF16 => matrix.to_dtype(DType::F32)?,
        _ => matrix,
    })
}

/// How far the positive and how far the negative of each triplet is, by the matrix: `[T]` each.
pub(crate) fn near_and_far(matrix: &Tensor, triplets: &Triplets) -> Result<[Tensor; 2]> {
    let of = |others| matrix.pick_entries(&triplets.anchors, others);
    Ok([of(&triplets.positives)?, of(&triplets.negatives)?])
}

/// A sum over the triplets of a matrix, with its gradient.
pub(crate) fn sum_of_matrix<T: Element>(
    name: &'static str,
    matrix: &Tensor,
    sum: f64,
    gradient: Vec<T>,
) -> Result<Tensor> {
    let gradient = Arc::new(gradient);
    let sum = vec![<T as Real>::from_f64(sum)];
    autograd::of_matrix(name, matrix, sum, (), move |_, _, upstream| {
        let factor = with_slice(upstream, |factor: &[T]| factor[0])?;
        Ok(PartialGradient::scaled(gradient.clone(), factor))
    })
}

/// The gradient `[rows, width]` of a sum, times what comes down to it.
pub(crate) fn scaled<T: Element>(
    gradient: &[T],
    width: usize,
    upstream: &Tensor,
) -> Result<Vec<T>> {
    // By rows in parallel: Candle's own product spins a second pool of threads beside that of the kernels.
    let rows = gradient.len().checked_div(width).unwrap_or(0);
    let factor = with_slice(upstream, |factor: &[T]| factor[0])?;
    Ok(scale_rows(gradient, &vec![factor; rows], width))
}
