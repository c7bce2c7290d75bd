//! Distances and dot products between all rows of two matrices, or of one matrix among themselves.
//!
//! Rows that are compared among themselves are recognised by being the same tensor, and cost half: the matrix is
//! symmetric, and the gradients of both sides are computed at once.

use std::sync::Arc;

use candle_core::{DType, Tensor};
use dml_kernels::cuda::euclidean::Measure;
use dml_kernels::euclidean::{self, Form};
use dml_kernels::{MatrixGradient, Side, pairwise_dot as dot, pairwise_lp as lp};

use super::elementwise::magnitude_composite;
use super::normalize::{Unit, is_half, norm_over_last};
use crate::autograd::cuda;
use crate::autograd::matrix_gradient::matrix_node;
use crate::autograd::{Element, has_kernel, with_slice, with_slices};
use crate::{Result, TensorExt, for_element};

/// A kernel for all pairs of rows, forward and backward.
#[derive(Clone, Copy)]
enum Kernel {
    Dot,
    Lp(f64),
    Squared,
}

impl Kernel {
    fn name(self) -> &'static str {
        match self {
            Self::Dot => "pairwise_dot",
            Self::Lp(_) => "pairwise_lp",
            Self::Squared => "pairwise_squared",
        }
    }

    fn between<T: Element>(self, x: &[T], r: &[T], dim: usize) -> Vec<T> {
        match self {
            Self::Dot => dot::pairwise_dot(x, r, dim),
            Self::Lp(p) => lp::pairwise_lp(x, r, dim, p),
            Self::Squared => euclidean::euclidean(x, r, dim, Form::Squared),
        }
    }

    fn among<T: Element>(self, x: &[T], dim: usize) -> Vec<T> {
        match self {
            Self::Dot => dot::pairwise_dot_among(x, dim),
            Self::Lp(p) => lp::pairwise_lp_among(x, dim, p),
            Self::Squared => euclidean::euclidean_among(x, dim, Form::Squared),
        }
    }

    /// The gradient of `source`, which the `rows` of `side` come from; `None` if it is a constant.
    fn backward<T: Element>(
        self,
        source: &Tensor,
        rows: &Rows,
        others: &Rows,
        values: &Tensor,
        gradient: &MatrixGradient<'_, T>,
        side: Side,
    ) -> Result<Option<Tensor>> {
        if !source.track_op() {
            return Ok(None);
        }
        let dim = source.dims()[1];
        let tensors = [&rows.values, &others.values, values];
        let mut result = with_slices(tensors, |[rows, others, v]: [&[T]; 3]| match self {
            Self::Dot => dot::pairwise_dot_backward(others, gradient, dim, side),
            Self::Lp(p) => lp::pairwise_lp_backward(rows, others, v, gradient, dim, p, side),
            Self::Squared => {
                let form = Form::Squared;
                euclidean::euclidean_backward(rows, others, v, gradient, dim, form, side)
            }
        })?;
        if let Some(unit) = &rows.unit {
            unit.pull_back(&mut result)?;
        }
        let gradient = Tensor::from_vec(result, source.shape(), source.device())?;
        Ok(Some(gradient))
    }
}

/// Rows to be compared, and how their gradient goes on.
///
/// Where they are other rows divided by their norm, the node of the matrix hangs below those: one node less, whose
/// gradient Candle would fill with zeros and add to.
struct Rows {
    values: Tensor,
    unit: Option<Arc<Unit>>,
}

impl Rows {
    /// The rows, and the tensor that the node of their matrix hangs below.
    fn new(rows: &Tensor) -> (Self, Tensor) {
        let unit = Unit::of(rows);
        let source = unit.as_ref().map_or(rows, |unit| unit.source()).clone();
        let values = rows.detach();
        (Self { values, unit }, source)
    }
}

fn fuse(kernel: Kernel, x: &Tensor, r: &Tensor) -> Result<Tensor> {
    let (name, dim) = (kernel.name(), x.dims()[1]);
    let shape = (x.dims()[0], r.dims()[0]);
    let (query, x_source) = Rows::new(x);
    for_element!(x, "query", |T| {
        if x.id() == r.id() {
            let values = with_slice(x, |x: &[T]| kernel.among(x, dim))?;
            return matrix_node(name, [&x_source], values, shape, move |[x], values, g| {
                Ok([kernel.backward::<T>(x, &query, &query, values, g, Side::Both)?])
            });
        }
        let values = with_slices([x, r], |[x, r]| kernel.between::<T>(x, r, dim))?;
        let (reference, r_source) = Rows::new(r);
        let sources = [&x_source, &r_source];
        matrix_node(name, sources, values, shape, move |[x, r], values, g| {
            Ok([
                kernel.backward::<T>(x, &query, &reference, values, g, Side::Query)?,
                kernel.backward::<T>(r, &reference, &query, values, g, Side::Reference)?,
            ])
        })
    })
}

/// Whether the kernels can take two matrices: on the CPU, of one type, with something in them.
fn have_kernel(x: &Tensor, r: &Tensor) -> bool {
    has_kernel(x)
        && has_kernel(r)
        && x.dtype() == r.dtype()
        && x.elem_count() > 0
        && r.elem_count() > 0
}

/// Whether the kernels of a CUDA device can take two matrices.
fn have_cuda_kernel(x: &Tensor, r: &Tensor) -> bool {
    cuda::has_kernel(x) && cuda::has_kernel(r) && x.dtype() == r.dtype()
}

pub(super) fn pairwise_dot(x: &Tensor, r: &Tensor) -> Result<Tensor> {
    if have_kernel(x, r) {
        return fuse(Kernel::Dot, x, r);
    }
    pairwise_dot_composite(x, r)
}

pub(super) fn pairwise_dot_composite(x: &Tensor, r: &Tensor) -> Result<Tensor> {
    if x.elem_count() == 0 || r.elem_count() == 0 {
        let none = Tensor::zeros((x.dims()[0], r.dims()[0]), x.dtype(), x.device())?;
        let attached = (x.attached_zero()? + r.attached_zero()?)?;
        return Ok(none.broadcast_add(&attached)?);
    }
    Ok(x.matmul(&r.t()?)?)
}

/// `f` of two matrices in single precision, back in theirs, which is half precision.
fn in_single(
    x: &Tensor,
    r: &Tensor,
    f: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let query = x.to_dtype(DType::F32)?;
    let result = if x.id() == r.id() {
        f(&query, &query)?
    } else {
        f(&query, &r.to_dtype(DType::F32)?)?
    };
    Ok(result.to_dtype(x.dtype())?)
}

pub(super) fn pairwise_lp(x: &Tensor, r: &Tensor, p: f64) -> Result<Tensor> {
    if is_half(x) && x.dtype() == r.dtype() {
        return in_single(x, r, |x, r| pairwise_lp(x, r, p));
    }
    if have_kernel(x, r) {
        return fuse(Kernel::Lp(p), x, r);
    }
    let measure = match p {
        1.0 => Some(Measure::Absolute),
        2.0 => Some(Measure::Root),
        _ => None,
    };
    if let (Some(measure), true) = (measure, have_cuda_kernel(x, r)) {
        return cuda::euclidean::euclidean(x, r, measure);
    }
    pairwise_lp_composite(x, r, p)
}

/// Needs `Q · R · dim` memory: for devices without a kernel.
pub(super) fn pairwise_lp_composite(x: &Tensor, r: &Tensor, p: f64) -> Result<Tensor> {
    norm_over_last(&magnitude_composite(&differences(x, r)?)?, p)
}

pub(super) fn pairwise_squared(x: &Tensor, r: &Tensor) -> Result<Tensor> {
    if is_half(x) && x.dtype() == r.dtype() {
        return in_single(x, r, pairwise_squared);
    }
    if have_kernel(x, r) {
        return fuse(Kernel::Squared, x, r);
    }
    if have_cuda_kernel(x, r) {
        return cuda::euclidean::euclidean(x, r, Measure::Squared);
    }
    pairwise_squared_composite(x, r)
}

/// Needs `Q · R · dim` memory: for devices without a kernel.
pub(super) fn pairwise_squared_composite(x: &Tensor, r: &Tensor) -> Result<Tensor> {
    Ok(differences(x, r)?.sqr()?.sum(2)?)
}

/// `[Q, R, dim]`.
fn differences(x: &Tensor, r: &Tensor) -> Result<Tensor> {
    Ok(x.unsqueeze(1)?.broadcast_sub(&r.unsqueeze(0)?)?)
}
