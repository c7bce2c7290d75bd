//! Functions of the rows of a matrix, one value a row.

use std::sync::Arc;

use candle_core::Tensor;
use dml_kernels::row_values as kernel;

use super::{Element, PartialGradient, is_tracked, of_matrix, with_slice};
use crate::Result;

/// One number for each row of `x` `[rows, columns]`: `[rows]`.
///
/// `f(i, row, gradients)` gives the value of row i and writes `∂ value / ∂ row` to `gradients`, which is 0 before. Rows are
/// visited in parallel. The gradients are kept for the backward pass if `x` is tracked.
///
/// ```
/// use dml_core::candle_core::{Device, Var};
/// use dml_core::autograd::row_values;
///
/// let x = Var::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;
/// let squares = row_values::<f32>("squares", &x, |_, row, gradients| {
///     gradients.iter_mut().zip(row).for_each(|(gradient, x)| *gradient = 2.0 * x);
///     row.iter().map(|x| x * x).sum()
/// })?;
/// assert_eq!(squares.to_vec1::<f32>()?, [5., 25.]);
/// let gradients = squares.sum_all()?.backward()?;
/// assert_eq!(gradients.get(x.as_tensor()).unwrap().to_vec2::<f32>()?, [[2., 4.], [6., 8.]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) unless `x` is a matrix of that element type, [`Error::Device`](crate::Error::Device)
/// unless it is on the CPU.
pub fn row_values<T: Element>(
    name: &'static str,
    x: &Tensor,
    f: impl Fn(usize, &[T], &mut [T]) -> T + Sync,
) -> Result<Tensor> {
    row_values_with::<T, ()>(name, x, |i, row, gradients, ()| f(i, row, gradients))
}

/// As [`row_values`], with scratch memory that each task brings and reuses from row to row.
///
/// # Errors
/// As [`row_values`].
pub fn row_values_with<T: Element, S: Default>(
    name: &'static str,
    x: &Tensor,
    f: impl Fn(usize, &[T], &mut [T], &mut S) -> T + Sync,
) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    if !is_tracked(x) {
        let values = with_slice(x, |x| kernel::row_values_alone(x, rows, width, f))?;
        return Ok(Tensor::from_vec(values, rows, x.device())?);
    }
    let (values, gradients) = with_slice(x, |x| kernel::row_values(x, rows, width, f))?;
    let gradients = Arc::new(gradients);
    of_matrix(name, x, values, rows, move |_, _, gradient| {
        let factors = with_slice(gradient, <[T]>::to_vec)?;
        Ok(PartialGradient::scaled_rows(gradients.clone(), factors))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn each_row_gets_its_own_share_of_the_gradient() -> Result<()> {
        let x = Var::new(&[[1f64, 2., 3.], [4., 5., 6.]], &Device::Cpu)?;
        let product = |_: usize, row: &[f64], gradients: &mut [f64]| {
            (gradients[0], gradients[2]) = (row[2], row[0]);
            row[0] * row[2]
        };
        let values = row_values("product", &x, product)?;
        assert_eq!(values.to_vec1::<f64>()?, [3., 24.]);
        let weights = Tensor::new(&[1f64, 10.], &Device::Cpu)?;
        let store = (values * weights)?.sum_all()?.backward()?;
        assert_eq!(
            store.get(x.as_tensor()).unwrap().to_vec2::<f64>()?,
            [[3., 0., 1.], [60., 0., 40.]]
        );
        let detached = row_values("product", &x.as_tensor().detach(), product)?;
        assert_eq!(detached.to_vec1::<f64>()?, [3., 24.]);
        assert!(!detached.track_op());
        Ok(())
    }
}
