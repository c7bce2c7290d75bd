//! The values of triplets: summed by intervals, or written out.

use std::sync::Arc;

use candle_core::Tensor;
use dml_core::autograd::{self, Element, with_slice, with_slices};
use dml_core::kernels::Real;
use dml_core::kernels::triplet_margin::TripletMargin;
use dml_core::{
    Batch, Distance, ImplicitValues, Indices, Over, PartialSum, Result, TensorExt, Term, Triplets,
    Tuples, for_element,
};

use crate::machinery::triplet_cost::TripletCost;
use crate::machinery::triplet_form::{TripletForm, near_and_far, on_host, scaled, sum_of_matrix};

/// The triplet values of one batch.
#[derive(Clone, Debug)]
pub(super) struct TripletSum {
    pub(super) cost: TripletCost,
    pub(super) distance: Arc<dyn Distance>,
    /// Distances `[Q, R]`.
    pub(super) matrix: Tensor,
    /// Distances `[R, R]` of positives and negatives, with `swap`.
    pub(super) inside: Option<Tensor>,
    pub(super) batch: Batch,
    pub(super) tuples: Tuples,
}

/// The same over triplets that are not written out.
#[derive(Clone, Debug)]
pub(super) struct ImplicitTripletSum {
    values: TripletSum,
    set: TripletForm,
}

impl TripletSum {
    pub(super) fn over(self, set: TripletForm) -> ImplicitTripletSum {
        ImplicitTripletSum { values: self, set }
    }

    /// One value per triplet of the tuples, in their order.
    pub(super) fn explicit(&self, name: &'static str) -> Result<Term> {
        let (values, triplets) = self.written_out()?;
        Term::explicit(name, Over::Triplets, values, Indices::Triplets(triplets))
    }

    pub(super) fn written_out(&self) -> Result<(Tensor, Arc<Triplets>)> {
        let triplets = self.tuples.triplets(&self.batch)?; // T triplets
        let [near, mut far] = near_and_far(&self.matrix, &triplets)?;
        if let Some(inside) = &self.inside {
            let other = inside.pick_entries(&triplets.positives, &triplets.negatives)?; // [T]
            far = self.distance.closer(&far, &other)?;
        }
        Ok((self.cost.of(&self.distance, &near, &far)?, triplets))
    }
}

impl ImplicitValues for ImplicitTripletSum {
    fn count(&self) -> u64 {
        self.set.walk().count()
    }

    fn sum_within(&self, low: Option<f64>, high: Option<f64>) -> Result<PartialSum> {
        let values = &self.values;
        // The order of the negatives lives on the host: a matrix from a device without kernels is copied here once.
        let (matrix, inside) = (
            on_host(&values.matrix)?,
            values.inside.as_ref().map(on_host).transpose()?,
        );
        for_element!(matrix, "matrix", |T| {
            self.sum::<T>(&matrix, inside.as_ref(), low, high)
        })
    }

    fn expand(&self) -> Result<(Tensor, Indices)> {
        let (values, triplets) = self.values.written_out()?;
        Ok((values, Indices::Triplets(triplets)))
    }
}

impl ImplicitTripletSum {
    fn sum<T: Element>(
        &self,
        matrix: &Tensor,
        inside: Option<&Tensor>,
        low: Option<f64>,
        high: Option<f64>,
    ) -> Result<PartialSum> {
        let number = |x: f64| <T as Real>::from_f64(x);
        let rule = TripletMargin {
            sign: number(self.values.distance.order().sign()),
            margin: number(self.values.cost.margin),
            penalty: self.values.cost.penalty,
            low: low.map(number),
            high: high.map(number),
        };
        let references = self.values.batch.references();
        let result = match inside {
            None => with_slice(matrix, |matrix: &[T]| {
                rule.sum(matrix, references, self.set.walk())
            }),
            Some(inside) => with_slices([matrix, inside], |[matrix, inside]| {
                rule.sum_with_swap(matrix, inside, references, self.set.set())
            }),
        }?;
        let sum = match inside {
            None => sum_of_matrix("triplet_sum", matrix, result.sum, result.gradient)?,
            Some(inside) => autograd::host_node(
                "triplet_sum",
                [matrix, inside],
                vec![number(result.sum)],
                (),
                move |_, _, upstream| {
                    let matrix = scaled(&result.gradient, references, upstream)?;
                    Ok([matrix, scaled(&result.swap_gradient, references, upstream)?])
                },
            )?,
        };
        Ok(PartialSum {
            sum: sum.to_device(self.values.matrix.device())?,
            count: result.count,
        })
    }
}
