//! The sum of two tensors as a node, for residual connections.

use candle_core::Tensor;
use dml_kernels::elementwise;

use super::{Value, has_kernel, node, with_slices};
use crate::{Result, check, for_element};

/// `left + right`, of one shape. Their gradients are the gradient of the sum, which is not copied.
///
/// ```
/// use dml_core::autograd::sum;
/// use dml_core::candle_core::{Device, Tensor};
///
/// let x = Tensor::new(&[1f32, 2.], &Device::Cpu)?;
/// assert_eq!(sum(&x, &x)?.to_vec1::<f32>()?, [2., 4.]);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) for different shapes, [`Error::Tensor`](crate::Error::Tensor) if Candle can't
/// do it.
pub fn sum(left: &Tensor, right: &Tensor) -> Result<Tensor> {
    let expected = "the shape of the left tensor";
    check::shape(left.shape() == right.shape(), "right", right, expected)?;
    if !has_kernel(left) || left.dtype() != right.dtype() {
        return Ok((left + right)?);
    }
    for_element!(left, "left", |T| {
        let value = with_slices([left, right], |[left, right]: [&[T]; 2]| {
            elementwise::zip_map(left, right, |left, right| left + right)
        })?;
        let value = Value::host(value, left.shape())?;
        node("sum", [left, right], value, |_, _, gradient| {
            Ok([(); 2].map(|()| Some(gradient.clone())))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use candle_core::{Device, Var};

    #[test]
    fn both_get_the_gradient() -> Result<()> {
        let x = Var::ones((50, 100), candle_core::DType::F32, &Device::Cpu)?;
        let y = sum(&sum(&x, &x)?, &x)?;
        let store = y.sqr()?.sum_all()?.backward()?;
        // 3 · 2 · 3
        assert!(
            store
                .get(&x)
                .unwrap()
                .flatten_all()?
                .to_vec1::<f32>()?
                .iter()
                .all(|g| *g == 18.0)
        );
        let other = Tensor::zeros(3, candle_core::DType::F32, &Device::Cpu)?;
        assert!(matches!(sum(&x, &other), Err(Error::Shape { .. })));
        Ok(())
    }
}
