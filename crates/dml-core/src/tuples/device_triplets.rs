//! Triplets by the gap between negative and positive, in a matrix of distances that stays on its device.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Tensor};
use dml_kernels::cuda::triplet_margin::Triplets;
use dml_kernels::triplet_margin::{TripletMargin, TripletPenalty};
use dml_kernels::triplet_ranges::{GapInterval, TripletRanges};

use super::triplet_ranges;
use crate::autograd::cuda::{self, TripletMatrices};
use crate::{Order, Relation, Result};

/// The triplets that [`triplet_ranges`] would select, by the matrix itself instead of an order of its negatives.
///
/// Whoever needs that order gets it from [`ranges`](Self::ranges), which brings the matrix to the host once.
#[doc(hidden)]
#[derive(Debug)]
pub struct DeviceTriplets {
    matrix: Tensor,
    order: Order,
    interval: GapInterval,
    relation: Relation,
    positive: Tensor,
    negative: Tensor,
    count: u64,
    ranges: Mutex<Option<Arc<TripletRanges>>>,
}

impl DeviceTriplets {
    /// Whether kernels can select from that matrix where it is.
    #[must_use]
    pub fn fits(matrix: &Tensor) -> bool {
        cuda::has_kernel(matrix)
    }

    /// The triplets of `relation` whose gap in `matrix` `[Q, R]` is selected.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) for a matrix that does not [fit](Self::fits),
    /// [`Error::Length`](crate::Error::Length) for one of another size than the relation.
    pub fn new(
        matrix: &Tensor,
        order: Order,
        interval: GapInterval,
        relation: &Relation,
    ) -> Result<Self> {
        let matrix = matrix.detach();
        let (positive, negative) = relation.mask_tensors(matrix.device())?;
        let mut device = Self {
            matrix,
            order,
            interval,
            relation: relation.clone(),
            positive,
            negative,
            count: 0,
            ranges: Mutex::new(None),
        };
        let any = TripletMargin {
            sign: order.sign(),
            margin: 0.0,
            penalty: TripletPenalty::Hinge,
            low: None,
            high: None,
        };
        let matrices = device.matrices(&device.matrix, None);
        device.count = cuda::triplet_count(&device.triplets(any, false), &matrices)?;
        Ok(device)
    }

    /// How many rows of the batch are anchors.
    #[must_use]
    pub fn anchors(&self) -> usize {
        self.relation.queries()
    }

    /// How many rows positives and negatives are taken from.
    #[must_use]
    pub fn references(&self) -> usize {
        self.relation.references()
    }

    /// The precision of the matrix.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.matrix.dtype()
    }

    /// How many triplets are selected.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// These triplets for a loss of that rule.
    #[must_use]
    pub fn triplets(&self, rule: TripletMargin<f64>, swap: bool) -> Triplets {
        Triplets {
            anchors: self.anchors(),
            references: self.references(),
            rule,
            interval: self.interval,
            mined_sign: self.order.sign(),
            swap,
        }
    }

    /// What a loss over `matrix` `[Q, R]` is computed from, with `inside` `[R, R]` for `swap`.
    #[must_use]
    pub fn matrices(&self, matrix: &Tensor, inside: Option<&Tensor>) -> TripletMatrices {
        TripletMatrices {
            matrix: matrix.clone(),
            mined: self.matrix.clone(),
            inside: inside.cloned(),
            positive: self.positive.clone(),
            negative: self.negative.clone(),
        }
    }

    /// The same triplets by the order of the negatives, on the host.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if the matrix can't be brought there.
    pub fn ranges(&self) -> Result<Arc<TripletRanges>> {
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ranges) = &*ranges {
            return Ok(ranges.clone());
        }
        let split = |q, p: &mut Vec<u32>, n: &mut Vec<u32>| self.relation.split(q, p, n);
        let selected = triplet_ranges(&self.matrix, self.order, self.interval, split)?;
        Ok(ranges.insert(Arc::new(selected)).clone())
    }
}
