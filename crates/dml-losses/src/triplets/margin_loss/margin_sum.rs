//! The values of triplets: summed along sorted negatives, or written out.

use std::sync::Arc;

use candle_core::Tensor;
use dml_core::autograd::{self, Element, with_slices};
use dml_core::kernels::{Real, boundary_hinges::BoundaryHinges};
use dml_core::{
    Batch, Distance, ImplicitValues, Indices, Over, PartialSum, Result, TensorExt, Term, Triplets,
    Tuples, for_element,
};

use crate::machinery::triplet_form::{TripletForm, near_and_far, on_host, scaled};

/// The triplet values of one batch.
#[derive(Clone, Debug)]
pub(super) struct MarginSum {
    pub(super) margin: f64,
    pub(super) distance: Arc<dyn Distance>,
    /// Distances `[Q, R]`.
    pub(super) matrix: Tensor,
    /// β of each query `[Q]`.
    pub(super) boundaries: Tensor,
    pub(super) batch: Batch,
    pub(super) tuples: Tuples,
}

/// The same over triplets that are not written out.
#[derive(Clone, Debug)]
pub(super) struct ImplicitMarginSum {
    values: MarginSum,
    form: TripletForm,
}

impl MarginSum {
    pub(super) fn over(self, form: TripletForm) -> ImplicitMarginSum {
        ImplicitMarginSum { values: self, form }
    }

    /// One value per triplet of the tuples, in their order, and the number of hinges above 0, or NaN.
    pub(super) fn explicit(&self, name: &'static str) -> Result<(Term, f64)> {
        let (positive, negative, triplets) = self.written_out()?;
        let active = |hinges: &Tensor| -> Result<f64> {
            let above = hinges
                .detach()
                .le(0f64)?
                .eq(0u8)?
                .to_dtype(candle_core::DType::F64)?;
            Ok(above.sum_all()?.to_scalar()?)
        };
        let divisor = active(&positive)? + active(&negative)?;
        let values = (positive + negative)?;
        let term = Term::explicit(name, Over::Triplets, values, Indices::Triplets(triplets))?;
        Ok((term.with_divisor(divisor), divisor))
    }

    /// The first and the second hinge of every triplet.
    fn written_out(&self) -> Result<(Tensor, Tensor, Arc<Triplets>)> {
        let triplets = self.tuples.triplets(&self.batch)?; // T triplets
        let anchors = Tensor::new(triplets.anchors.as_slice(), self.matrix.device())?;
        let boundary = self.boundaries.index_select(&anchors, 0)?; // [T]
        let [near, far] = near_and_far(&self.matrix, &triplets)?;
        let positive = (self.distance.gap(&near, &boundary)? + self.margin)?.hinge()?;
        let negative = (self.distance.gap(&boundary, &far)? + self.margin)?.hinge()?;
        Ok((positive, negative, triplets))
    }

    fn rule<T: Element>(&self, low: Option<f64>, high: Option<f64>) -> BoundaryHinges<T> {
        let number = |x: f64| <T as Real>::from_f64(x);
        BoundaryHinges {
            sign: number(self.distance.order().sign()),
            margin: number(self.margin),
            low: low.map(number),
            high: high.map(number),
        }
    }
}

impl ImplicitMarginSum {
    /// How many hinges are above 0.
    pub(super) fn active(&self) -> Result<u64> {
        let matrix = on_host(&self.values.matrix.detach())?;
        let boundaries = on_host(&self.values.boundaries.detach())?;
        for_element!(matrix, "matrix", |T| {
            let rule = self.values.rule::<T>(None, None);
            with_slices([&matrix, &boundaries], |[m, b]| {
                rule.active(m, self.values.batch.references(), b, self.form.walk())
            })
        })
    }

    fn sum<T: Element>(&self, low: Option<f64>, high: Option<f64>) -> Result<PartialSum> {
        let values = &self.values;
        let (matrix, boundaries) = (on_host(&values.matrix)?, on_host(&values.boundaries)?);
        let rule = values.rule::<T>(low, high);
        let references = values.batch.references();
        let result = with_slices([&matrix, &boundaries], |[m, b]| {
            rule.sum(m, references, b, self.form.walk())
        })?;
        let sum = autograd::host_node(
            "margin_sum",
            [&matrix, &boundaries],
            vec![<T as Real>::from_f64(result.sum)],
            (),
            move |_, _, upstream| {
                let matrix = scaled(&result.gradient, references, upstream)?;
                Ok([matrix, scaled(&result.boundary_gradient, 1, upstream)?])
            },
        )?;
        Ok(PartialSum {
            sum: sum.to_device(values.matrix.device())?,
            count: result.count,
        })
    }
}

impl ImplicitValues for ImplicitMarginSum {
    fn count(&self) -> u64 {
        self.form.walk().count()
    }

    fn sum_within(&self, low: Option<f64>, high: Option<f64>) -> Result<PartialSum> {
        for_element!(self.values.matrix, "matrix", |T| self.sum::<T>(low, high))
    }

    fn expand(&self) -> Result<(Tensor, Indices)> {
        let (positive, negative, triplets) = self.values.written_out()?;
        Ok(((positive + negative)?, Indices::Triplets(triplets)))
    }
}
