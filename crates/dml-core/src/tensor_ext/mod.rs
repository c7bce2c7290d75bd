//! The differentiable primitives that metric learning is made of, as methods of Candle's tensor.
//!
//! Each has a composite form of Candle's own operations, which runs on every device, and a fused CPU form over
//! `dml-kernels`, forward and backward. Both give the same numbers; tests hold them to it. At a kink the gradient is
//! PyTorch's: 0 for the hinge at 0, for a distance of 0 and for |x| at 0.
//!
//! The trait is sealed. An inherent method of [`Tensor`] wins over a method of a trait with the same name, so names here are
//! specific enough that a later version of Candle is unlikely to take them.

mod elementwise;
mod log_sum_exp;
mod normalize;
mod pairwise;
mod pick;
mod sum_by_group;
mod sum_within;

use candle_core::Tensor;

use crate::autograd::whole;
use crate::{Result, check};

pub use sum_within::PartialSum;

/// Differentiable primitives of metric learning on [`Tensor`]; see the [module](self).
///
/// ```
/// use dml_core::{TensorExt, candle_core::{Device, Tensor}};
///
/// let x = Tensor::new(&[[3f32, 4.], [0., 2.]], &Device::Cpu)?;
/// let unit = x.normalize_rows(2.0)?;
/// assert_eq!(unit.to_vec2::<f32>()?, [[0.6, 0.8], [0., 1.]]);
/// assert_eq!(unit.pairwise_dot(&unit)?.to_vec2::<f32>()?[0][1], 0.8);
/// assert_eq!(x.pairwise_lp(&x, 2.0)?.to_vec2::<f32>()?[1][1], 0.0);
/// # Ok::<(), dml_core::Error>(())
/// ```
pub trait TensorExt: sealed::Sealed {
    /// Rows divided by their p-norm, for `p >= 1` or infinity: `[rows, dim]`. A row of zeros stays one, with gradient 0; a
    /// row with a NaN becomes NaN.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) unless the tensor is of rank 2.
    fn normalize_rows(&self, p: f64) -> Result<Tensor>;

    /// The p-norm of each row, with gradient 0 for a zero row: `[rows, dim]` → `[rows]`.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) unless the tensor is of rank 2.
    fn row_norms(&self, p: f64) -> Result<Tensor>;

    /// Dot products of all rows: `[Q, dim]`, `[R, dim]` → `[Q, R]`.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) unless both are of rank 2 with rows of one length.
    fn pairwise_dot(&self, reference: &Tensor) -> Result<Tensor>;

    /// p-norm distances of all rows: `[Q, dim]`, `[R, dim]` → `[Q, R]`. Equal rows have distance 0 and gradient 0.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) unless both are of rank 2 with rows of one length.
    fn pairwise_lp(&self, reference: &Tensor, p: f64) -> Result<Tensor>;

    /// Squared Euclidean distances of all rows: `[Q, dim]`, `[R, dim]` → `[Q, R]`. Equal rows have exactly 0.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) unless both are of rank 2 with rows of one length.
    fn pairwise_squared(&self, reference: &Tensor) -> Result<Tensor>;

    /// The entries `(rows[t], columns[t])` of a matrix: `[Q, R]` → `[T]`. Entries may be picked repeatedly.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) for an entry outside of the matrix, [`Error::Length`](crate::Error::Length) for lists of unequal length.
    fn pick_entries(&self, rows: &[u32], columns: &[u32]) -> Result<Tensor>;

    /// `max(0, x)`, with gradient 0 at 0; NaN of NaN.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if Candle cannot do it.
    fn hinge(&self) -> Result<Tensor>;

    /// `ln(1 + eˣ)` without overflow.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if Candle cannot do it.
    fn safe_softplus(&self) -> Result<Tensor>;

    /// `|x|`, with gradient 0 at 0.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if Candle cannot do it.
    fn safe_abs(&self) -> Result<Tensor>;

    /// `x^exponent`, with gradient 0 at 0.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if Candle cannot do it.
    fn safe_power(&self, exponent: f64) -> Result<Tensor>;

    /// `ln Σ e^x` over the entries of each row that `keep` (not 0, the shape of the tensor; `None` keeps all) lets
    /// count: `[rows, columns]` → `[rows]`. With `add_one`, `ln(1 + Σ e^x)`. A row with no such entry is 0, with
    /// gradient 0. Where an entry that counts is NaN, value and gradient are.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) unless the tensor is of rank 2 and `keep` of its shape.
    fn masked_logsumexp(&self, keep: Option<&Tensor>, add_one: bool) -> Result<Tensor>;

    /// Sum and number of the values strictly above `low` and strictly below `high`; the sum is a scalar. NaN is outside of
    /// no bounds: it counts, and the sum is NaN.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if Candle cannot do it.
    fn sum_within(&self, low: Option<f64>, high: Option<f64>) -> Result<PartialSum>;

    /// The sum of the values of each group: value i counts for group `groups[i]`, `[n]` → `[count]`; 0 for a group
    /// without values.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) unless the tensor is of rank 1, [`Error::Length`](crate::Error::Length) unless there is one group per value,
    /// [`Error::Index`](crate::Error::Index) for a group that is not below `count`.
    fn sum_by_group(&self, groups: &[u32], count: usize) -> Result<Tensor>;

    /// The scalar 0, attached to the graph of this tensor: its gradient is zero everywhere, even where the tensor
    /// is infinite or NaN.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if Candle cannot do it.
    fn attached_zero(&self) -> Result<Tensor>;
}

mod sealed {
    #[allow(unnameable_types)] // It exists so that it can't be named.
    #[doc(hidden)]
    pub trait Sealed {}
    impl Sealed for candle_core::Tensor {}
}

impl TensorExt for Tensor {
    fn normalize_rows(&self, p: f64) -> Result<Tensor> {
        normalize::normalize(&matrix("embeddings", self)?, p)
    }

    fn row_norms(&self, p: f64) -> Result<Tensor> {
        normalize::row_norms(&matrix("embeddings", self)?, p)
    }

    fn pairwise_dot(&self, reference: &Tensor) -> Result<Tensor> {
        let (x, reference) = pair(self, reference)?;
        pairwise::pairwise_dot(&x, &reference)
    }

    fn pairwise_lp(&self, reference: &Tensor, p: f64) -> Result<Tensor> {
        let (x, reference) = pair(self, reference)?;
        pairwise::pairwise_lp(&x, &reference, p)
    }

    fn pairwise_squared(&self, reference: &Tensor) -> Result<Tensor> {
        let (x, reference) = pair(self, reference)?;
        pairwise::pairwise_squared(&x, &reference)
    }

    fn pick_entries(&self, rows: &[u32], columns: &[u32]) -> Result<Tensor> {
        pick::pick(&matrix("matrix", self)?, rows, columns)
    }

    fn hinge(&self) -> Result<Tensor> {
        elementwise::hinge(&whole(self)?)
    }

    fn safe_softplus(&self) -> Result<Tensor> {
        elementwise::softplus(&whole(self)?)
    }

    fn safe_abs(&self) -> Result<Tensor> {
        elementwise::magnitude(&whole(self)?)
    }

    fn safe_power(&self, exponent: f64) -> Result<Tensor> {
        elementwise::power(&whole(self)?, exponent)
    }

    fn masked_logsumexp(&self, keep: Option<&Tensor>, add_one: bool) -> Result<Tensor> {
        log_sum_exp::masked_logsumexp(&matrix("x", self)?, keep, add_one)
    }

    fn sum_within(&self, low: Option<f64>, high: Option<f64>) -> Result<PartialSum> {
        sum_within::sum_within(&whole(self)?, low, high)
    }

    fn sum_by_group(&self, groups: &[u32], count: usize) -> Result<Tensor> {
        sum_by_group::sum_by_group(&whole(self)?, groups, count)
    }

    fn attached_zero(&self) -> Result<Tensor> {
        elementwise::attached_zero(&whole(self)?)
    }
}

/// A [`whole`] tensor of rank 2.
fn matrix(arg: &'static str, tensor: &Tensor) -> Result<Tensor> {
    check::shape(tensor.rank() == 2, arg, tensor, "[rows, dim]")?;
    whole(tensor)
}

/// Both sides of a comparison as [`whole`] matrices of one width; rows compared among themselves stay one tensor.
fn pair(query: &Tensor, reference: &Tensor) -> Result<(Tensor, Tensor)> {
    let x = matrix("query", query)?;
    if query.id() == reference.id() {
        return Ok((x.clone(), x));
    }
    let r = matrix("reference", reference)?;
    let expected = "[references, dim] with the dim of the queries";
    check::shape(r.dims()[1] == x.dims()[1], "reference", &r, expected)?;
    Ok((x, r))
}

#[cfg(test)]
mod tests;
