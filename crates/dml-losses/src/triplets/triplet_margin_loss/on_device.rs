//! Triplets that are not written out, summed by kernels where the matrix of distances is.

use std::sync::Arc;

use candle_core::Tensor;
use dml_core::autograd::cuda;
use dml_core::kernels::triplet_margin::TripletMargin;
use dml_core::kernels::triplet_ranges::GapInterval;
use dml_core::tuples::DeviceTriplets;
use dml_core::{Batch, ImplicitValues, Indices, PartialSum, Result, Tuples};

use super::triplet_sum::TripletSum;

/// Triplets that the kernels can walk.
#[derive(Clone, Debug)]
pub(super) struct DeviceSet(Arc<DeviceTriplets>);

impl DeviceSet {
    /// All triplets of a relation, or what a miner has left on the device; `None` where there is no kernel for them.
    pub(super) fn of(tuples: &Tuples, batch: &Batch, matrix: &Tensor) -> Result<Option<Self>> {
        if !cuda::has_kernel(matrix) {
            return Ok(None);
        }
        if tuples.is_all() {
            let relation = batch.require_relation("triplets")?;
            // Without a bound no gap is looked at, and the order has no meaning.
            let (order, all) = (dml_core::Order::SmallerIsCloser, GapInterval::default());
            let triplets = DeviceTriplets::new(matrix, order, all, relation)?;
            return Ok(Some(Self(Arc::new(triplets))));
        }
        tuples.check(batch)?;
        // Mined from rows of another number, or in another precision: the host can do that.
        let fits = |mined: &&Arc<DeviceTriplets>| {
            mined.anchors() == batch.queries()
                && mined.references() == batch.references()
                && mined.dtype() == matrix.dtype()
        };
        Ok(tuples.on_device().filter(fits).cloned().map(Self))
    }
}

/// The values of a [`DeviceSet`].
#[derive(Clone, Debug)]
pub(super) struct DeviceTripletSum {
    values: TripletSum,
    set: DeviceSet,
}

impl TripletSum {
    pub(super) fn on_device(self, set: DeviceSet) -> DeviceTripletSum {
        DeviceTripletSum { values: self, set }
    }
}

impl ImplicitValues for DeviceTripletSum {
    fn count(&self) -> u64 {
        self.set.0.count()
    }

    fn sum_within(&self, low: Option<f64>, high: Option<f64>) -> Result<PartialSum> {
        let (values, triplets) = (&self.values, &self.set.0);
        let rule = TripletMargin {
            sign: values.distance.order().sign(),
            margin: values.cost.margin,
            penalty: values.cost.penalty,
            low,
            high,
        };
        let inside = values.inside.as_ref();
        let matrices = triplets.matrices(&values.matrix, inside);
        cuda::triplet_sum(triplets.triplets(rule, inside.is_some()), &matrices)
    }

    fn expand(&self) -> Result<(Tensor, Indices)> {
        let (values, triplets) = self.values.written_out()?;
        Ok((values, Indices::Triplets(triplets)))
    }
}
